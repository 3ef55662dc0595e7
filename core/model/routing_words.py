"""Knows which words of a request tell how hard it is; it must not know requests, rules or models.

A `*` stands for the rest of a word: `debug*` is `debug`, `debugging` and `debugger`. Case does not matter, and a word matches
whole: `plan` is not in `plane`. Chinese and Japanese have no spaces between words, so theirs match anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Kind(StrEnum):
    """What a word says about the request that holds it."""

    SIMPLE = "simple"
    MAKING = "making"
    ANALYSIS = "analysis"
    HARD = "hard"


_ENTRIES: Mapping[Kind, str] = {
    # What has one answer, or is a matter of form.
    Kind.SIMPLE: """
        translate, spell*, grammar, capitali*, synonym*, classify, categori*, tag, extract, convert, reformat, rename,
        sort, count, list, define, shorten, rephrase, one line, one word, one sentence, a sentence, two-line, one-line,
        yes or no, headline, tl;dr, tldr, label, lookup, look up, short, quick, briefly, commit message,
        what is the name, who is, when is,
        übersetz*, kurz*, traduis, traduire, traduce, traducir, correggi, corrige*, vertaal, korte, traduza, переведи*
    """,
    # What yields a text or a program of its own.
    Kind.MAKING: """
        write, create, build, generate, draft, develop, prepare, add, script, program, function, api, endpoint,
        component, class, pipeline*, essay, article, story, stories, poem*, speech, blog post, documentation,
        unit test*, workflow,
        schreib*, erstell*, entwickl*, écris, écrire, rédige*, crée, escribe*, crea, redacta*, escreva, crie, scrivi,
        schrijf, napisz, напиши*, создай*
    """,
    Kind.ANALYSIS: """
        analys*, analyz*, architect*, debug*, design*, refactor*, implement*, review*, compar*, explain*, evaluat*,
        assess*, optimi*, investigat*, diagnos*, troubleshoot*, trade-off*, tradeoff*, trade off*,
        pros and cons, strategy, strategies, plan, planning, why, critique*, critical*, migrat*, root cause*, bug, bugs,
        fix the code, fail*, error, errors, exception*, stack trace*, crash*, security, performance, slow, memory leak*,
        schema*, how should, how do i fix, what's wrong, what is wrong, going wrong, best way to, in depth, in detail,
        step by step, consequence*, weigh*, recommend*, prioriti*, risk, risks, hypothes*, estimate, interpret, audit*,
        model the, show your work, every step, derivative*, integral*, probabilit*, equation*,
        analysier*, architektur*, entwirf*, vergleich*, erklär*, warum, woran, bewert*, begründ*, expliqu*, pourquoi,
        conçois, concevez, analiza*, explica*, por qué, diseña*, arquitect*, depura*, analise*, projete,
        analizza*, confronta*, spiega*, perché, wyjaśnij*, porównaj*, объясни*, сравни*, почему, проанализируй*
    """,
    # What a small model gets plausibly wrong.
    Kind.HARD: """
        prove, proves, show that, proof, proofs, disprove, theorem*, lemma*, corollar*, derive, derivation*, rigorous*,
        axiom*, counterexample*, counter-example*, countermodel*, invariant*, formal specification*,
        formal verification, formally, tla+, lock-free, wait-free, linearizab*, linearisab*, race condition*,
        data race*, deadlock*, memory order*, consensus, byzantine, crdt*, exactly-once, multi-region, np-hard,
        np-complete, undecidab*, computational complexity, optimal strategy, competitive ratio,
        necessary and sufficient, from first principles, generalise, generalize, think step by step, think hard*,
        think carefully, ultrathink, reason through, reconcile, second-order, threat model*, security audit,
        game theor*, integer program*, type system, decision analysis, nondeterminis*, non-determinis*,
        statistical model*, zero-knowledge, cryptanaly*, whole repository, entire repository, whole code base,
        entire codebase,
        beweis*, herleit*, widerleg*, démontre*, prouve*, démonstration*, demuestra*, demostra*, demonstre*, prove que,
        dimostra*, udowodnij*, докаж*, доказать, контрпример*
    """,
}
#: Those of languages that put no spaces between words.
_UNSPACED: Mapping[Kind, str] = {
    Kind.SIMPLE: "翻译, 翻訳, 分类, 提取",
    Kind.MAKING: "写一个, 写一篇, 编写, 作成して, 書いて, 만들어, 작성",
    Kind.ANALYSIS: "分析, 设计, 設計, 架构, 調べ, 解释, 説明, 比较, 比較, 调试, デバッグ, 改善, 优化, 重构, 为什么, なぜ,"
    "설명, 비교, 분석, 설계, 디버그",
    Kind.HARD: "证明, 証明, 推导, 導出, 不变量, 反例, 증명",
}


def _index(entries: Mapping[Kind, str]) -> dict[str, Kind]:
    words = {kind: (word.strip() for word in text.replace("\n", ",").split(",")) for kind, text in entries.items()}
    return {word: kind for kind in Kind for word in words[kind] if word}


def _pattern(entry: str) -> str:
    return r"\s+".join(map(re.escape, entry.removesuffix("*").split())) + (r"\w*" if entry[-1] == "*" else "")


def _alternatives(entries: Iterable[str]) -> str:
    """Join patterns, by their first letter so that a word meets few of them, the longest first so that it wins."""
    initials: dict[str, list[str]] = {}
    for entry in sorted(entries, key=len, reverse=True):
        initials.setdefault(entry[0], []).append(_pattern(entry)[1:])
    return "|".join(f"{letter}(?:{'|'.join(rests)})" for letter, rests in initials.items())


_SPACED_KINDS = _index(_ENTRIES)
_UNSPACED_KINDS = _index(_UNSPACED)
_KINDS = {**_SPACED_KINDS, **_UNSPACED_KINDS}
_LONGEST = max(map(len, _KINDS))
_WORDS = re.compile(rf"\b(?:{_alternatives(_SPACED_KINDS)})(?!\w)|{_alternatives(_UNSPACED_KINDS)}")


def keywords_in(text: str) -> dict[Kind, tuple[str, ...]]:
    """List the entries that occur in `text` by their kind, each once, in the order of their first occurrence."""
    found: dict[Kind, dict[str, None]] = {kind: {} for kind in Kind}
    for match in _WORDS.finditer(text.lower()):
        entry = _entry(" ".join(match[0].split()))
        found[_KINDS[entry]][entry.removesuffix("*")] = None
    return {kind: tuple(words) for kind, words in found.items()}


def _entry(matched: str) -> str:
    if matched in _KINDS:
        return matched
    lengths = range(min(len(matched), _LONGEST), 0, -1)
    return next(stem for length in lengths if (stem := f"{matched[:length]}*") in _KINDS)
