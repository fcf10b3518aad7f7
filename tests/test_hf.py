"Models of Hugging Face as backbones: small random ones, saved to a folder, without a network."
import json
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch

from copl import CoplError, load_videos
from copl.backbones import HFBackbone, backbone_by_name
from copl.extraction import extract, moving_shapes, read_frames
from copl.files import read_yaml

pytest.importorskip('av')
WIDTHS = {'clip': 8, 'dinov2': 16, 'videomae': 16}


@pytest.fixture(scope='module')
def hf():
    "The library."
    return pytest.importorskip('transformers', reason='copl[hf] is not installed')


@pytest.fixture(scope='module')
def models(hf, tmp_path_factory):
    "A folder with a CLIP, a DINOv2 and a VideoMAE."
    torch.manual_seed(0)
    small = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
    text = dict(small, vocab_size=9, max_position_embeddings=4, projection_dim=8)
    vision = dict(small, image_size=32, patch_size=16, projection_dim=8)
    dino = {k: v for k, v in small.items() if k != 'intermediate_size'}
    made = {
        'clip': (hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision,
                                            projection_dim=8)), hf.CLIPImageProcessorPil, 32),
        'dinov2': (hf.Dinov2Model(hf.Dinov2Config(image_size=28, patch_size=14, **dino)),
                   hf.BitImageProcessorPil, 28),
        'videomae': (hf.VideoMAEForVideoClassification(hf.VideoMAEConfig(
            image_size=32, patch_size=16, num_frames=8, tubelet_size=2, **small)),
            hf.VideoMAEImageProcessorPil, 32)}
    folder = tmp_path_factory.mktemp('models')
    for kind, (model, processor, size) in made.items():
        model.save_pretrained(folder/kind)
        processor(size={'shortest_edge': 36}, crop_size=size).save_pretrained(folder/kind)
    return folder


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    "Two videos of two seconds."
    folder = tmp_path_factory.mktemp('clips')
    moving_shapes(folder, n=2, seconds=2)
    return folder


def plainly(hf, folder, kind, pictures):
    "(P, D), the sequence of features in a snippet, as one writes it with the library."
    processor = hf.AutoImageProcessor.from_pretrained(folder, backend='pil')
    x = processor(pictures, return_tensors='pt')['pixel_values']
    with torch.inference_mode():
        if kind == 'clip': return hf.CLIPModel.from_pretrained(folder).get_image_features(
            pixel_values=x).pooler_output
        if kind == 'dinov2': return hf.AutoModel.from_pretrained(folder)(x).last_hidden_state[:, 0]
        tokens = hf.AutoModel.from_pretrained(folder)(x).last_hidden_state[0]
        return tokens.reshape(4, 4, 16).mean(1)              # 4 pairs of frames of 4 patches


@pytest.mark.parametrize('kind, sampled', [
    ('clip', [2, 6, 10, 14]), ('dinov2', [2, 6, 10, 14]),
    ('videomae', [1, 3, 5, 7, 9, 11, 13, 15])])
def test_features_are_those_of_the_library(hf, models, clips, tmp_path, kind, sampled):
    backbone = HFBackbone(models/kind, difference=True)
    result = extract(clips/'shape_00.mp4', tmp_path, backbone, device='cpu')
    assert result.done == ['shape_00']
    rgb, difference = load_videos(tmp_path)[0]
    assert rgb.shape == difference.shape == (3, WIDTHS[kind])
    frames = list(read_frames(clips/'shape_00.mp4', short_side=None))
    assert frames[0].shape == (72, 96, 3)                                # as in the file
    for t in range(3):
        parts = plainly(hf, models/kind, kind, [frames[16*t + i] for i in sampled]).numpy()
        np.testing.assert_allclose(rgb[t], parts.mean(0), atol=1e-5)
        change = sum(abs(b - a) for a, b in zip(parts[:-1], parts[1:], strict=True))
        np.testing.assert_allclose(difference[t], change/(len(parts) - 1), atol=1e-5)
    card = json.loads((tmp_path/'extract.json').read_text())
    assert (card['backbone'], card['looks'], card['flow']) == (f'hf:{kind}', len(sampled), None)
    assert card['preprocessing']['size'] == {'shortest_edge': 36} and not card['comparable']
    assert list(card['weights']) == ['model.safetensors'] and card['versions']['transformers']
    grid = read_yaml(tmp_path/'grid.yaml')
    assert grid['streams'] == {'rgb': WIDTHS[kind], 'difference': WIDTHS[kind]}
    assert grid['made_by'] == f'hf:{kind}, {len(sampled)} of the 16 frames of a snippet'


def test_pictures_are_resized_cropped_and_normalised_as_the_model_says(models):
    picture = np.full((72, 96, 3), (100, 150, 200), np.uint8)
    picture[:, :12] = picture[:, -12:] = 0                   # 6 of 48 columns once it is halved
    card = json.loads((models/'clip/preprocessor_config.json').read_text())
    backbone = pickle.loads(pickle.dumps(HFBackbone(models/'clip')))      # as --workers sends it
    seen = backbone.prepare([picture])
    expected = (np.array([100, 150, 200])/255 - card['image_mean'])/card['image_std']
    assert seen.shape == (3, 1, 32, 32)
    inner = seen[:, 0, :, 1:-1]              # columns 8 to 40 of 48: the border is out of sight
    np.testing.assert_allclose(inner, np.broadcast_to(expected[:, None, None], inner.shape),
                               atol=1e-5)


def test_a_folder_holds_the_features_of_one_model(models, clips, tmp_path):
    def made(kind, **options):
        return extract(clips, tmp_path, f'hf:{models/kind}', device='cpu', **options)
    made('dinov2')
    assert load_videos(tmp_path).widths == {'rgb': 16}
    for kind, options, message in (
            ('clip', {}, "backbone: found 'hf:dinov2', expected 'hf:clip'"),
            ('dinov2', {'crop': 28}, 'crop is 28, expected none with hf:dinov2')):
        with pytest.raises(CoplError, match=message): made(kind, **options)


def test_what_is_wrong_with_a_model_is_named(models, tmp_path, monkeypatch):
    import huggingface_hub
    from safetensors.torch import load_file, save_file
    def refused(model, match, **options):
        with pytest.raises(CoplError, match=match): HFBackbone(model, **options)
    refused(tmp_path, 'found no config.json, expected a folder of save_pretrained')
    (tmp_path/'config.json').write_text('{"model_type": "bert"}')
    refused(tmp_path, "found a model of the kind 'bert', expected one of clip, .*videomae")
    (tmp_path/'config.json').write_text('{')
    refused(tmp_path, 'found Expecting property name.*, expected a folder of save_pretrained')
    copy = shutil.copytree(models/'dinov2', tmp_path/'copy')
    state = load_file(copy/'model.safetensors')
    save_file({k: v for k, v in state.items() if k != 'layernorm.bias'}, copy/'model.safetensors',
              {'format': 'pt'})
    refused(copy, r'layernorm.bias: found no weights \(1 parameters are missing\)')
    (copy/'model.safetensors').write_bytes(b'torn')
    refused(copy, 'copy: found .*, expected a folder of save_pretrained')
    (copy/'preprocessor_config.json').unlink()
    refused(copy, 'copy: found .*preprocessor_config.json')
    copy = shutil.copytree(models/'clip', tmp_path/'size')
    card = json.loads((copy/'preprocessor_config.json').read_text())
    (copy/'preprocessor_config.json').write_text(json.dumps(card | {'crop_size': 20}))
    refused(copy, r'found pictures of \(20, 20\) by preprocessor_config.json')
    refused(models/'clip', 'found 1 feature in a snippet, expected at least 2', difference=True,
            looks=1)
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    refused('facebook/dinov2-small@main', 'hf:facebook/dinov2-small@main: found .*, with a network')


def test_without_the_library_its_extra_is_named(clips, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(CoplError, match=r'pip install "copl\[hf\]"'):
        extract(clips, tmp_path, f'hf:{tmp_path}')
    with pytest.raises(CoplError, match="'lite0': found difference, expected it with hf: only"):
        backbone_by_name('lite0', difference=True)
    with pytest.raises(CoplError, match='expected lite0, i3d, hf:NAME_OR_FOLDER'):
        extract(clips, tmp_path, 'dinov2')
