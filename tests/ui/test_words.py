"""Whatever the server says has words in both languages of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plimsoll import maps
from plimsoll.analytics import basis, carry, distances, fair_value, grading, statements
from plimsoll.server import problems

ROOT = Path(__file__).resolve().parents[2]
TOLD = ROOT / "ui/src/text/told"
ENTRY = re.compile(r'^ {4}"?(?P<code>[^":\n]+)"?:\s*"(?P<words>[^"]*)",$', re.MULTILINE)
FILLED = re.compile(r"\{(\w+)[^}]*\}")


def words(language: str, section: str) -> dict[str, str]:
    """Return what stands in a section of a language's file."""
    text = (TOLD / f"{language}.ts").read_text(encoding="utf-8")
    inner = text.split(f"\n  {section}: {{\n", 1)[1].split("\n  },", 1)[0]
    return {found["code"]: found["words"] for found in ENTRY.finditer(inner + "\n")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_statement_has_words_that_take_what_it_says(language):
    ours, theirs = statements.GRADED | statements.MAPPED, words(language, "statements")
    assert theirs.keys() == ours.keys()
    for code, sentence in ours.items():
        assert set(FILLED.findall(theirs[code])) == set(FILLED.findall(sentence)), code


def test_the_pages_english_is_the_servers():
    theirs = words("en", "statements")
    for code, sentence in (statements.GRADED | statements.MAPPED).items():
        assert theirs[code] == FILLED.sub(r"{\1}", sentence)


def test_every_chinese_word_is_chinese():
    for section in ("statements", "fixed", "problems"):
        for code, sentence in words("zh", section).items():
            assert re.search(r"[\u4e00-\u9fff]", sentence), code


def test_every_kind_of_problem_has_words():
    source = "".join(path.read_text() for path in (ROOT / "src/plimsoll/server").glob("*.py"))
    raised = set(re.findall(r'Problem\(\s*\d+,\s*"([\w-]+)"', source))
    raised |= {name for _, _, name, _ in problems.KINDS} | {"not-found", "http"}
    assert "too-many-steps" in raised
    for language in ("en", "zh"):
        assert words(language, "problems").keys() == raised


def test_what_the_server_always_writes_alike_has_words():
    said = {
        *fair_value.REASONS.values(),
        *basis.STATES,
        carry.UNPRICED,
        carry.NEVER_TOGETHER,
        *maps.IMPLIED.split(", "),
    }
    said |= {
        maps.MARKED,
        grading.BOTH_SIDES,
        grading.LOT,
        grading.PRICE,
        "not recorded",
        "week",
        "month",
    }
    said |= {distances.BY_SIDE, distances.BOTH_ALIKE, *distances.TOO_FEW.values()}
    said |= {distances.BY_AGE, distances.ANY_AGE, statements.LARGEST}
    for language in ("en", "zh"):
        assert words(language, "fixed").keys() == said
