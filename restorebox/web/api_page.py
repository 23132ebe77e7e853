"""HTML page of the service's OpenAPI description, without scripts."""

from __future__ import annotations

import html
from typing import Any

_STYLE = (
    'body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}'
    'code,pre{font-family:monospace;background:#8882;padding:.1em .3em}pre{padding:.6em;overflow-x:auto}'
    'table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.2em .6em;text-align:left}'
)
EXAMPLES = """curl --data-binary @rain.jpg -o clear.jpg http://HOST/v1/restore
curl -F file=@rain.jpg -H 'Accept: image/webp' -o clear.webp 'http://HOST/v1/restore?strength=0.8'
curl -F file=@large.tif http://HOST/v1/jobs"""


def render(description: dict[str, Any]) -> str:
    """Return the page.

    Args:
        description: an OpenAPI document as FastAPI makes it.
    """
    info = description['info']
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(info["title"])}</title>',
        f'<style>{_STYLE}</style><h1>{_text(info["title"])} {_text(info["version"])}</h1>',
        f'<p>{_text(info.get("summary", ""))} <a href="openapi.json">openapi.json</a></p>',
        f'<pre>{_text(EXAMPLES)}</pre>',
    ]
    for path, methods in description['paths'].items():
        for method, operation in methods.items():
            parts.append(f'<h2><code>{_text(method.upper())} {_text(path)}</code></h2>')
            parts.append(f'<p><b>{_text(operation["summary"])}.</b> {_text(operation.get("description", ""))}</p>')
            parts.append(_table('Parameter', [_parameter(each) for each in operation.get('parameters', ())]))
            body = operation.get('requestBody')
            if body:
                kinds = ', '.join(body['content'])
                parts.append(f'<p>Body ({_text(kinds)}): {_text(body.get("description", ""))}</p>')
            codes = sorted(operation['responses'].items())
            parts.append(_table('Status', [(code, each.get('description', '')) for code, each in codes]))
    return ''.join(parts)


def _parameter(parameter: dict[str, Any]) -> tuple[str, str]:
    schema = parameter.get('schema', {})
    limits = [f'{word} {schema[key]}' for key, word in (('minimum', 'from'), ('maximum', 'to')) if key in schema]
    default = [f'default {schema["default"]}'] if 'default' in schema else []
    return f'{parameter["name"]} ({parameter["in"]})', ', '.join(
        [each for each in (parameter.get('description') or schema.get('description', ''), *limits, *default) if each]
    )


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ''
    lines = ''.join(f'<tr><td><code>{_text(name)}</code></td><td>{_text(text)}</td></tr>' for name, text in rows)
    return f'<table><tr><th>{title}</th><th></th></tr>{lines}</table>'


def _text(value: object) -> str:
    return html.escape(str(value))
