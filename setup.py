"Packaging of copl: everything it needs stands in settings.ini."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

settings = ConfigParser(delimiters=['='])
settings.read(Path(__file__).parent/'settings.ini', encoding='utf-8')
cfg = settings['DEFAULT']

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(Path(__file__).parent/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    url=cfg['git_url'] or None, # docs.yml and whoever forks this fill it in
    keywords=cfg['keywords'],
    license='Apache-2.0',
    classifiers=[
        'Development Status :: 3 - Alpha',
        f"Intended Audience :: {cfg['audience']}",
        f"Natural Language :: {cfg['language']}",
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires=f">={cfg['min_python']}",
    package_dir={'': '.'}, # so that an editable install is a path, which type checkers follow
    packages=find_packages(include=[cfg['lib_path'], f"{cfg['lib_path']}.*"]),
    package_data={cfg['lib_path']: ['py.typed', '__init__.pyi', 'timelines.json',
                                    'behaviour.json', 'report.*']},
    install_requires=cfg['requirements'].split(),
    extras_require={'notebooks': cfg['notebooks_requirements'].split(),
                    'video': cfg['video_requirements'].split(),
                    'hf': cfg['hf_requirements'].split(),
                    'hdf5': cfg['hdf5_requirements'].split(),
                    'parquet': cfg['parquet_requirements'].split(),
                    'dev': ' '.join(cfg[f'{extra}_requirements'] for extra in
                                    ('dev', 'video', 'hf', 'parquet')).split()},
    entry_points={'console_scripts': cfg['console_scripts'].split()},
    zip_safe=False,
)
