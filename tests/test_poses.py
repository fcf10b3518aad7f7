"The tutorial on real pose recordings, shortened, where the recordings are."
import nbformat
from nbclient import NotebookClient

from .conftest import ROOT


def test_the_pose_tutorial_runs(real_data, monkeypatch):
    monkeypatch.setenv('COPL_POSES', str(real_data('repcount_pose')))
    monkeypatch.setenv('COPL_POSES_EPOCHS', '1')
    monkeypatch.setenv('COPL_POSES_SEEDS', '1')
    notebook = nbformat.read(ROOT/'nbs/tutorials/pose_sequences.ipynb', 4)
    NotebookClient(notebook, timeout=900).execute()
    text = str([c.get('outputs') for c in notebook.cells])
    assert '146 of 152 videos' in text and 'COPL, weak supervision' in text
