"""Warps of the training videos settle on one another: against the identity, and in chunks against all at once."""

import torch

from tests.lit.path_training import path_batch, path_module
from tpl_lightning.lit import settling

ALL = [0, 1, 2, 3, 4, 5]


def _settled(monkeypatch, chunk):
    monkeypatch.setattr(settling, "CHUNK", chunk)
    module = path_module()
    module.fill_bank(lambda: iter([path_batch(ALL)]))
    encoded = settling.encode_videos(module.model, module.bank, lambda: iter([path_batch(ALL)]))
    model = module.model
    identity = torch.linspace(0, 1, module.bank.times.shape[1], dtype=torch.float64).expand(len(ALL), -1)
    module.bank.put(torch.arange(len(ALL)), model.space.beside(encoded.latent, model.path.sigma), identity)
    settling.renew_axes(model, module.bank)
    before = float(model.running_icae)
    settling.settle(model, module.bank, encoded, leave_one_out=True)
    return before, float(module.model.running_icae), module.bank


def test_videos_of_one_curve_come_into_step(monkeypatch):
    before, after, bank = _settled(monkeypatch, 64)
    assert after < 0.7 * before
    assert (bank.times.diff(dim=1) > 0).all()
    assert (bank.times[:, 0].abs() < 1e-9).all()
    assert ((bank.times[:, -1] - 1).abs() < 1e-9).all()


def test_chunks_change_nothing(monkeypatch):
    _, after, bank = _settled(monkeypatch, 64)
    _, again, parts = _settled(monkeypatch, 2)
    assert abs(after - again) < 1e-9
    torch.testing.assert_close(bank.times, parts.times, atol=1e-9, rtol=0)


def test_latents_come_in_the_order_of_the_videos():
    module = path_module()
    module.fill_bank(lambda: iter([path_batch(ALL)]))
    batches = [path_batch([4, 5, 0]), path_batch([2, 1, 3])]
    encoded = settling.encode_videos(module.model, module.bank, lambda: iter(batches))
    assert encoded.video_index.tolist() == [4, 5, 0, 2, 1, 3]
    latent, action = encoded.of_all_ranks()
    assert action.tolist() == [0, 1, 0, 1, 0, 0]
    expected = settling.encode_videos(module.model, module.bank, lambda: iter([path_batch(ALL)]))
    torch.testing.assert_close(latent, expected.latent)
