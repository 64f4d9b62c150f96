"""The currencies by their three letters (ISO 4217, those that are in use)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Final

from pydantic import AfterValidator

_CODES: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
    HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL
    LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP
    PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES: Final = frozenset(_CODES.split())


def _known(currency: str) -> str:
    if currency not in CURRENCIES:
        near = get_close_matches(currency.upper(), sorted(CURRENCIES), n=3, cutoff=0.5)
        hint = f" (near it: {', '.join(near)})" if near else ""
        raise ValueError(f"{currency!r} is no currency of ISO 4217{hint}: give its three letters, as EUR")
    return currency


Currency = Annotated[str, AfterValidator(_known)]
