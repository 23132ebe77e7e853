"""Packaging: requirements are read from requirements/, configs/ travel as package data."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Lines of requirements/NAME.txt, ``-r`` followed, comments dropped."""
    found = []
    for line in (HERE / 'requirements' / f'{name}.txt').read_text().splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('-r '):
            found += requirements(Path(line[3:].strip()).stem)
        elif line:
            found.append(line)
    return found


version: dict[str, str] = {}
exec((HERE / 'restorebox' / 'version.py').read_text(), version)

setup(
    name='restorebox',
    version=version['__version__'],
    description='Train, test and run image-restoration models: rain, haze, noise, blur, JPEG and their mixtures',
    long_description=(HERE / 'README.md').read_text() if (HERE / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=[*find_packages(include=['restorebox', 'restorebox.*']), 'restorebox.configs'],
    package_dir={'restorebox.configs': 'configs'},
    package_data={
        'restorebox': ['py.typed', 'web/page.*', 'schemas/*.json', 'metrics/parameters/*', 'published/*.json'],
        'restorebox.configs': ['**/*.py', '**/*.md', '**/*.yml', '**/*.safetensors'],
    },
    install_requires=requirements('runtime'),
    extras_require={
        name: requirements(name)
        for name in (
            'demo',
            'optional',
            'clip',
            'encoder',
            'export',
            'heif',
            'hub',
            'prune',
            'ray',
            'serve',
            'storage',
            'video',
            'web',
            'zoo',
            'tests',
            'docs',
        )
    },
    entry_points={'console_scripts': ['restorebox = restorebox.cli.main:main']},
)
