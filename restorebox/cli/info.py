"""Say what is known about a model or a file of weights: method, size, needs, scores, licence, limits."""

from __future__ import annotations

import argparse

from restorebox.errors import printable


def main(argv: list[str]) -> None:
    """Print information about a model, one line per item."""
    parser = argparse.ArgumentParser(prog='restorebox info', description=__doc__)
    parser.add_argument(
        'model', help='a name (`restorebox models` lists them), a weights file, or hf://OWNER/NAME@REVISION'
    )
    model = parser.parse_args(argv).model
    from restorebox.inference.facts import model_facts

    facts = model_facts(model)
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f'{name:<{width}}  {printable(value)}')
