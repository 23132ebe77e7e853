"""Say what is known about a model or a file of weights: method, size, needs, scores, licence, limits."""

from __future__ import annotations

import argparse

from restorebox.errors import printable


def main(argv: list[str]) -> None:
    """Print what is known, a fact a line."""
    parser = argparse.ArgumentParser(prog='restorebox info', description=__doc__)
    parser.add_argument('model', help='a name (`restorebox models` lists them) or a file of weights')
    model = parser.parse_args(argv).model
    from restorebox.inference.facts import model_facts

    facts = model_facts(model)
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f'{name:<{width}}  {printable(value)}')
