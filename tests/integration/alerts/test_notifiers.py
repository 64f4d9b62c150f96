"""Every notifier against a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import hmac
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from trimtab_alerts.assembly import channels
from trimtab_alerts.dispatcher import Dispatcher
from trimtab_alerts.notifiers import ConsoleNotifier, PagerDutyNotifier, WebhookNotifier
from trimtab_alerts.outbox import InMemoryOutbox
from trimtab_alerts.outcome import Notifier, Ok, Outcome, Permanent, Retry
from trimtab_alerts.settings import AlertSettings, PagerDutySettings, WebhookSettings
from trimtab_alerts.testing import Receiver, Reply, sample_delivery

ROUTING_KEY = "R0UT1NGK3Y" + "x" * 22
HMAC_KEY = "hm4ck3y"
SECRETS = (ROUTING_KEY, HMAC_KEY, "t0ken", "s3cret")

Make = Callable[..., Notifier]


def webhook(url: str, timeout_s: float = 10.0) -> WebhookNotifier:
    return WebhookNotifier(
        WebhookSettings(name="ops", url=SecretStr(url), secret=SecretStr(HMAC_KEY), timeout_s=timeout_s)
    )


def pagerduty(url: str, timeout_s: float = 10.0) -> PagerDutyNotifier:
    settings = PagerDutySettings(url=url, routing_key=SecretStr(ROUTING_KEY), timeout_s=timeout_s)
    return PagerDutyNotifier(settings)


OVER_HTTP = pytest.mark.parametrize("make", [webhook, pagerduty])


def test_pagerduty_gets_the_event_and_its_yes_is_taken() -> None:
    with Receiver(Reply(202, body=b'{"status":"success"}')) as server:
        assert pagerduty(server.url).notify(sample_delivery()) == Ok('202 Accepted {"status":"success"}')
    (request,) = server.received
    assert request.headers["Content-Type"] == "application/json"
    event = request.json()
    assert (event["routing_key"], event["event_action"]) == (ROUTING_KEY, "trigger")
    assert event["dedup_key"] == sample_delivery().dedup_key


def test_a_webhook_gets_a_signed_body_with_an_id_that_a_retry_repeats() -> None:
    with Receiver(Reply(503), Reply(200)) as server:
        notifier = webhook(server.url)
        assert isinstance(notifier.notify(sample_delivery()), Retry)
        assert isinstance(notifier.notify(sample_delivery()), Ok)
    first, second = server.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == sample_delivery().id
    assert first.body == second.body
    wanted = hmac.new(HMAC_KEY.encode(), first.body, hashlib.sha256).hexdigest()
    assert first.headers["Trimtab-Signature"] == f"sha256={wanted}"
    assert first.json()["version"] == "4"


def test_a_webhook_without_a_secret_is_not_signed() -> None:
    with Receiver() as server:
        settings = WebhookSettings(name="ops", url=SecretStr(server.url))
        assert isinstance(WebhookNotifier(settings).notify(sample_delivery()), Ok)
    assert "Trimtab-Signature" not in server.received[0].headers


def test_secrets_come_from_files_which_may_change(tmp_path: Path) -> None:
    key = tmp_path / "key"
    with Receiver() as server:
        notifier = PagerDutyNotifier(PagerDutySettings(url=server.url, routing_key_file=key))
        missing = notifier.notify(sample_delivery())
        assert isinstance(missing, Retry)
        assert str(key) in missing.error
        key.write_text("A" * 32 + "\n")
        notifier.notify(sample_delivery())
        key.write_text("B" * 32 + "\n")
        notifier.notify(sample_delivery())
    assert [each.json()["routing_key"] for each in server.received] == ["A" * 32, "B" * 32]


@OVER_HTTP
def test_every_status_says_whether_a_retry_could_help(make: Make) -> None:
    statuses = range(200, 600)
    with Receiver(*(Reply(status) for status in statuses)) as server:
        notifier = make(server.url)
        got = [type(notifier.notify(sample_delivery())) for _ in statuses]
    kinds = dict(zip(statuses, got, strict=True))
    assert {status for status, kind in kinds.items() if kind is Ok} == set(range(200, 300))
    assert {status for status, kind in kinds.items() if kind is Retry} == {408, 425, 429, *range(500, 600)}
    assert len(server.received) == len(statuses), "a redirect was followed"


@OVER_HTTP
def test_the_pause_a_server_asks_for_is_told(make: Make) -> None:
    with Receiver(Reply(429, {"retry-after": "7"})) as server:
        outcome = make(server.url).notify(sample_delivery())
    assert isinstance(outcome, Retry)
    assert outcome.after_seconds == 7.0


@OVER_HTTP
def test_a_redirect_is_not_followed(make: Make) -> None:
    with Receiver() as elsewhere, Receiver(Reply(307, {"Location": elsewhere.url})) as server:
        assert isinstance(make(server.url).notify(sample_delivery()), Permanent)
        assert elsewhere.received == []


@contextmanager
def talking(answer: bytes) -> Iterator[str]:
    """A server that says `answer` to whoever connects, whatever they say, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook/t0ken?key=s3cret"
        thread.join()


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/hook/t0ken?key=s3cret"


def refused(make: Make) -> Outcome:
    return make(closed_port(), 5.0).notify(sample_delivery())


def unknown_host(make: Make) -> Outcome:
    return make("http://no-such-host.invalid/hook/t0ken?key=s3cret", 5.0).notify(sample_delivery())


def not_a_url(make: Make) -> Outcome:
    return make("http://[t0ken/s3cret", 5.0).notify(sample_delivery())


def hung(make: Make) -> Outcome:
    release = threading.Event()
    with Receiver(Reply(hold=release)) as server:
        outcome = make(server.url, 0.3).notify(sample_delivery())
        release.set()
    return outcome


def hung_up(make: Make) -> Outcome:
    with talking(b"") as url:
        return make(url, 5.0).notify(sample_delivery())


def no_http(make: Make) -> Outcome:
    with talking(b"220 mail.example.com ESMTP t0ken\r\n") as url:
        return make(url, 5.0).notify(sample_delivery())


def no_tls(make: Make) -> Outcome:
    with talking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        return make(url.replace("http:", "https:"), 5.0).notify(sample_delivery())


def echoing(make: Make) -> Outcome:
    with Receiver(Reply(500, echo=True)) as server:
        return make(server.url, 5.0).notify(sample_delivery())


FAILURES = [refused, unknown_host, not_a_url, hung, hung_up, no_http, no_tls, echoing]


@OVER_HTTP
@pytest.mark.parametrize("failure", FAILURES)
def test_a_network_that_fails_is_worth_a_retry_and_no_secret_is_told(
    failure: Callable[[Make], Outcome],
    make: Make,
) -> None:
    outcome = failure(make)
    assert isinstance(outcome, Retry)
    assert outcome.error
    assert not [secret for secret in SECRETS if secret in outcome.error], outcome.error


def test_an_answer_that_breaks_off_after_its_status_is_not_sent_again() -> None:
    with talking(b"HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\nshort") as url:
        assert isinstance(pagerduty(url).notify(sample_delivery()), Ok)


def test_a_user_and_password_in_the_url_are_sent_and_never_told() -> None:
    with Receiver(Reply(500, echo=True)) as server:
        outcome = webhook(server.url.replace("://", "://us%40er:pa55word@")).notify(sample_delivery())
    assert server.received[0].headers["Authorization"] == "Basic dXNAZXI6cGE1NXdvcmQ="
    assert isinstance(outcome, Retry)
    assert not [secret for secret in ("pa55word", "dXNAZXI6cGE1NXdvcmQ=") if secret in outcome.error]


def every_notifier() -> list[Notifier]:
    return [webhook(closed_port()), pagerduty(closed_port()), ConsoleNotifier()]


def test_no_notifier_settings_log_or_row_tells_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(default=Reply(503, echo=True)) as server:
        settings = AlertSettings(
            webhooks=(
                WebhookSettings(name="ops", url=SecretStr(server.url), secret=SecretStr(HMAC_KEY)),
                WebhookSettings(name="shut", url=SecretStr(closed_port()), secret=SecretStr(HMAC_KEY)),
            ),
            # PagerDuty's address is public: it holds no token.
            pagerduty=PagerDutySettings(
                routing_key=SecretStr(ROUTING_KEY), url=server.url.partition("/hook")[0]
            ),
        )
        built = channels(settings)
        outbox = InMemoryOutbox(sample_delivery(channel.name) for channel in built)
        Dispatcher(outbox, built).run_once(100.0)
    rows = [outbox.get(sample_delivery(channel.name).id) for channel in built]
    assert [row.attempts for row in rows] == [0, 1, 1, 1]
    said = [repr(settings), str(settings), settings.model_dump_json(), repr(built), repr(rows), caplog.text]
    said += [repr(channel.notifier) + repr(vars(channel.notifier)) for channel in built]
    assert "503" in caplog.text
    assert "refused" in caplog.text
    assert not [(secret, text) for secret in SECRETS for text in said if secret in text]


def test_every_notifier_takes_a_broken_delivery_as_final() -> None:
    broken = replace(sample_delivery(), body="no alert")
    assert [type(each.notify(broken)) for each in every_notifier()] == [Permanent] * 3
