"""A page about the API, without scripts and without anything from other servers."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f3f3}pre{padding:.7rem;"
    "overflow:auto}table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2rem .6rem;"
    "text-align:left}"
)
EXAMPLE = """curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' 'http://HOST:PORT/predict?top=3'
curl -F image=@cat.jpg -F image=@dog.jpg 'http://HOST:PORT/predict?unknown=true'"""


def page(schema: Mapping[str, Any]) -> str:
    """Return an HTML page that describes an OpenAPI schema."""
    about = schema["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(about["title"])}'
        f"</title><style>{STYLE}</style><h1>{escape(about['title'])} {escape(about['version'])}"
        f"</h1><p>{escape(about['summary'])} The same as a schema: <a href='openapi.json'>"
        f"openapi.json</a>.</p><pre>{escape(EXAMPLE)}</pre>{''.join(_routes(schema))}</html>"
    )


def _routes(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(route.get('description', ''))}</p>"
            if "requestBody" in route:
                types = ", ".join(route["requestBody"]["content"])
                text = f"{route['requestBody']['description']} Content type: {types}."
                yield f"<p>{escape(text)}</p>"
            if "parameters" in route:
                yield "<table><tr><th>parameter</th><th>default</th><th>meaning</th></tr>"
                for each in route["parameters"]:
                    cells = (each["name"], each["schema"].get("default"), each.get("description"))
                    row = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
                    yield f"<tr>{row}</tr>"
                yield "</table>"
