"""Leads from the threads of the data path back to the watch, which is made after them."""

from __future__ import annotations

from trimtab.identity import Place
from trimtab.rewind.accord import Accord
from trimtab.rewind.group_store import group_store
from trimtab.rewind.orders import Order
from trimtab.vocabulary import Command
from trimtab.watching import Watch


class Link:
    """What other threads may ask of the watch on this rank; nothing happens before `watch` is set."""

    def __init__(self, place: Place) -> None:
        self.watch: Watch | None = None
        self._place = place
        self._accord: Accord | None = None

    @property
    def negotiates(self) -> bool:
        """Whether commands are obeyed only together with other ranks."""
        return self._place.world_size > 1

    def poll(self) -> bool:
        """Write down values that have arrived from a device; True: others are still under way."""
        return self.watch is not None and self.watch.poll()

    def take_commands(self, commands: tuple[Command, ...]) -> None:
        """Hand commands of the collector's on."""
        if self.watch is not None:
            self.watch.take_commands(commands)

    def show_page(self, url: str) -> None:
        """Note the run's page, as the collector names it."""
        if self.watch is not None:
            self.watch.url = url

    def negotiate(self, command: Command) -> None:
        """Agree with the other ranks on when to obey, through the store of their process group."""
        store = group_store()
        if self.watch is None:
            return
        if store is None:
            reason = "the ranks have no process group to agree through: call init_process_group"
            self.watch.hold(Order(command).settle(refusal=reason))
            return
        if self._accord is None:
            self._accord = Accord(store, self.watch.run, self._place, self.watch)
        self._accord.begin(command)

    def stop(self) -> None:
        """End what is being negotiated."""
        if self._accord is not None:
            self._accord.stop()
