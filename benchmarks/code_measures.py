"""Measure the source and its text: lines per room, long functions, `Any`, words per sentence.

    python benchmarks/code_measures.py . --out measures.json

Tests are left out. Sentences come from README.md, CONTRIBUTING.md, the pages under docs/ and the
docstrings under src/. Code, tables, headings and doctests are not sentences.
"""

import argparse
import ast
import inspect
import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.comprehension, ast.Assert)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def sources(package: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """Return each file of the package, without tests: path in the package, text, syntax tree."""
    for file in sorted(package.rglob("*.py")):
        if not file.name.startswith(("test_", "conftest")):
            text = file.read_text()
            yield file.relative_to(package), text, ast.parse(text)


def branches(function: ast.AST) -> int:
    """Count if, for, while, except, assert, comprehensions, and cases; and each `and` and `or`."""
    count = 0
    for node in ast.walk(function):
        count += isinstance(node, (*BRANCHES, ast.match_case))
        count += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        count += len(node.ifs) if isinstance(node, ast.comprehension) else 0
    return count


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring and decorators."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def longest(trees: Iterable[tuple[Path, ast.Module]], count: int = 10) -> list[dict[str, object]]:
    """Return the longest functions, with their lines and branches."""
    found = [
        (body_lines(node), branches(node), f"{path}:{node.name}")
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS)
    ]
    top = sorted(found, key=lambda each: (-each[0], each[2]))[:count]
    return [{"function": name, "lines": lines, "branches": many} for lines, many, name in top]


def any_count(tree: ast.Module) -> int:
    """Count how often `Any` is used as a name. Its import does not count."""
    return sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))


def markdown_prose(text: str) -> str:
    """Return paragraphs and list items of Markdown, without code, tables, headings and markup."""
    text = re.sub(r"^(```|~~~|:::).*?^\1\s*$", "", text, flags=re.S | re.M)
    text = re.sub(r"(?<=\n\n)( {4}.*\n)+", "", text)
    text = re.sub(r"<!--.*?-->|^<.*?>$|!\[.*?\]\(.*?\)", "", text, flags=re.S | re.M)
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text)
    text = re.sub(r"^\s*(#|\||:|> \[!).*$", "\n", text, flags=re.M)
    return re.sub(r"^\s*([*+-]|\d+\.)\s", "\n\n", text, flags=re.M)


def docstring_prose(tree: ast.Module) -> str:
    """Return all docstrings of a file, also those of attributes, without doctests."""
    texts = [
        inspect.cleandoc(node.value.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    text = re.sub(r"^ *>>> .*?(?=^ *$|\Z)", "", "\n\n".join(texts), flags=re.S | re.M)
    text = re.sub(r"^ *((Args|Returns|Raises|Yields|Attributes):|-+|\w+)$", "\n", text, flags=re.M)
    return re.sub(r"^ {4}(?=\w+: )", "\n\n", text, flags=re.M)


def sentence_lengths(prose: str) -> list[int]:
    """Count the words of each sentence of two words or more. A blank line ends a sentence too."""
    ends = r"(?<=[.!?])[\s)*]+(?=[A-Z0-9`'\"(*])|\n\s*\n"
    sentences = re.split(ends, re.sub(r"``?[^`]+``?", "code", prose))
    lengths = [len(re.findall(r"\S*\w\S*", sentence)) for sentence in sentences]
    return [length for length in lengths if length > 1]


def spread(lengths: list[int]) -> dict[str, float]:
    """Return the median and the 95th percentile of words per sentence."""
    if len(lengths) < 2:
        return {"sentences": len(lengths)}
    p95 = statistics.quantiles(lengths, n=20, method="inclusive")[-1]
    return {"sentences": len(lengths), "median": statistics.median(lengths), "p95": p95}


def measure(folder: Path) -> dict[str, object]:
    """Return all measures of a checkout."""
    files = list(sources(folder / "src" / "lord"))
    lines: Counter[str] = Counter()
    for path, text, _ in files:
        lines[path.parts[0] if len(path.parts) > 1 else "(top)"] += len(text.splitlines())
    pages = [folder / "README.md", folder / "CONTRIBUTING.md", *folder.glob("docs/**/*.md")]
    documents = [page.read_text() for page in pages]
    return {
        "lines by room": dict(sorted(lines.items())),
        "lines": lines.total(),
        "functions (lines, branches)": longest((path, tree) for path, _, tree in files),
        "Any": sum(any_count(tree) for _, _, tree in files),
        "README lines": len(documents[0].splitlines()),
        "words a sentence, documents": spread(
            [n for text in documents for n in sentence_lengths(markdown_prose(text))]
        ),
        "words a sentence, docstrings": spread(
            [n for _, _, tree in files for n in sentence_lengths(docstring_prose(tree))]
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    result = measure(options.folder)
    for name, value in result.items():
        if isinstance(value, dict):
            rows = [(str(number), key) for key, number in value.items()]
        elif isinstance(value, list):
            rows = [(f"{each['lines']}, {each['branches']}", each["function"]) for each in value]
        else:
            rows = [(str(value), "")]
        for number, what in rows:
            print(f"{name:34} {number:>10}  {what}".rstrip())
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
