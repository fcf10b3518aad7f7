"The lowest versions that settings.ini allows, as constraints for pip: `python .ci/lowest.py`."
import re
from configparser import ConfigParser
from pathlib import Path

settings = ConfigParser(delimiters=['='])
settings.read(Path(__file__).parents[1]/'settings.ini', encoding='utf-8')
for key, value in settings['DEFAULT'].items():
    if key != 'requirements' and not key.endswith('_requirements') or key == 'dev_requirements':
        continue
    for name, version in re.findall(r'([\w-]+)>=([\d.]+)', value):
        print(f'{name}=={version if "." in version else version + ".0"}.*')
