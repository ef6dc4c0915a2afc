"""The grammar of unified symbols: what is written is what is read."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import UnknownSymbol
from plimsoll.market.symbols import Symbol, family, plain

currencies = st.text(
    st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), min_size=1, max_size=9
)
# YYMMDD names a century of days; two-digit years from 69 on mean the last century.
days = st.dates(date(2000, 1, 1), date(2068, 12, 31))
strikes = st.decimals(min_value=0, max_value=10**7, places=4).map(lambda s: Decimal(plain(s)))


@st.composite
def symbols(draw):
    settle = draw(st.none() | currencies)
    expiry = draw(st.none() | days) if settle else None
    strike = draw(st.none() | strikes) if expiry else None
    return Symbol(
        base=draw(currencies),
        quote=draw(currencies),
        settle=settle,
        expiry=expiry,
        strike=strike,
        option=None if strike is None else draw(st.sampled_from("CP")),
    )


@given(symbols())
def test_reading_what_was_written_gives_the_same_symbol(symbol):
    assert Symbol.parse(str(symbol)) == symbol


@given(symbols().map(str))
def test_writing_what_was_read_gives_the_same_text(text):
    assert str(Symbol.parse(text)) == text


@given(symbols())
def test_kind_follows_from_the_parts_that_are_there(symbol):
    given_parts = [symbol.settle, symbol.expiry, symbol.strike]
    kinds = ["spot", "perpetual", "future", "option"]
    assert symbol.kind == kinds[sum(part is not None for part in given_parts)]


# The texts and their readings are ccxt's own: its manual, "Contract Naming Conventions".
@pytest.mark.parametrize(
    ("text", "symbol", "kind", "settlement"),
    [
        ("BTC/USDT", Symbol(base="BTC", quote="USDT"), "spot", None),
        (
            "BTC/USDT:USDT",
            Symbol(base="BTC", quote="USDT", settle="USDT"),
            "perpetual",
            "linear",
        ),
        (
            "BTC/USDT:BTC-211225",
            Symbol(base="BTC", quote="USDT", settle="BTC", expiry=date(2021, 12, 25)),
            "future",
            "inverse",
        ),
        (
            "ETH/USD:BTC",
            Symbol(base="ETH", quote="USD", settle="BTC"),
            "perpetual",
            "quanto",
        ),
        (
            "ETH/USDT:USDT-210625-5000-C",
            Symbol(
                base="ETH",
                quote="USDT",
                settle="USDT",
                expiry=date(2021, 6, 25),
                strike=Decimal(5000),
                option="C",
            ),
            "option",
            "linear",
        ),
    ],
)
def test_published_examples_are_read(text, symbol, kind, settlement):
    assert Symbol.parse(text) == symbol
    assert (symbol.kind, symbol.settlement) == (kind, settlement)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTC",
        "BTCUSDT",
        "BTC-USDT",
        "/USDT",
        "BTC/",
        "BTC/USDT:",
        "BTC/USDT:USDT-",
        "BTC/USDT-261225",
        "BTC/USDT:USDT-2612",
        "BTC/USDT:USDT-261225-90000",
        "BTC/USDT:USDT-261225-90000-X",
        "BTC/USDT:USDT-261225--C",
        "BTC/USDT:USDT-261225-1e5-C",
        "BTC/USDT:USDT:USDT",
        " BTC/USDT",
        "BTC/USDT ",
        "BTC/USDT\n",
    ],
)
def test_text_outside_the_grammar_is_refused(text):
    with pytest.raises(UnknownSymbol, match="write BASE/QUOTE") as refusal:
        Symbol.parse(text)
    assert refusal.value.text == text


@pytest.mark.parametrize("day", ["260230", "261301", "260000", "261232"])
def test_a_day_that_never_was_is_refused(day):
    with pytest.raises(UnknownSymbol, match=f"{day} is no day"):
        Symbol.parse(f"BTC/USDT:USDT-{day}")


@given(symbols())
def test_only_options_are_filed_under_another_name(symbol):
    expected = f"{symbol.base}/{symbol.quote}:{symbol.settle}"
    assert family(str(symbol)) == (expected if symbol.kind == "option" else str(symbol))


@pytest.mark.parametrize(
    ("strike", "text"),
    [("90000", "90000"), ("9E+4", "90000"), ("0.520", "0.52"), ("100.0", "100"), ("0", "0")],
)
def test_strikes_are_written_plainly(strike, text):
    assert plain(Decimal(strike)) == text
