import torch

from tpl_lightning.recognition.prototypes import discordance, inverse_positions


def test_discordance_is_nought_for_equals_and_one_for_stillness():
    video = torch.linspace(0, 6, 64).sin().view(1, 64, 1)
    video = video - video.mean()
    torch.testing.assert_close(discordance(video, video), torch.zeros(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(discordance(torch.zeros_like(video), video), torch.ones(1), atol=1e-4, rtol=0)


def test_inverse_of_a_power_is_the_root():
    time = torch.linspace(0, 1, 101)
    torch.testing.assert_close(inverse_positions((time**2)[None])[0], time.sqrt(), atol=0.01, rtol=0)
