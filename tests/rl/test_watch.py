import gymnasium
import numpy as np
import pytest
from PIL import Image, ImageSequence

from advdl.errors import RunError, UsageError
from advdl.rl.evaluation import episode_seed
from advdl.rl.video import playable
from advdl.rl.watch import watch


def zeros(observations):
    return np.zeros(len(observations), np.int64)


def played(seed):
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=seed)
    steps, done = 0, False
    while not done:
        _, _, terminated, truncated, _ = env.step(0)
        steps, done = steps + 1, terminated or truncated
    env.close()
    return steps


def test_a_gif_shows_the_seeded_episodes(tmp_path):
    watched = watch(zeros, "CartPole-v1", episodes=2, seed=4, video=tmp_path / "deep" / "a.gif", fps=25)
    assert watched.lengths == (played(episode_seed(4, 0)), played(episode_seed(4, 1)))
    assert watched.returns == watched.lengths
    with Image.open(watched.video) as image:
        assert image.size == (600, 400)
        # Pillow joins equal frames, so durations are added, not frames counted.
        shown = sum(frame.info["duration"] for frame in ImageSequence.Iterator(image))
    assert shown == 40 * (sum(watched.lengths) + 2)  # the first observation of each is shown too


def test_an_mp4_can_be_read_back(tmp_path):
    import imageio_ffmpeg as ffmpeg

    watched = watch(zeros, "CartPole-v1", seed=1, video=tmp_path / "a.mp4")
    frames, seconds = ffmpeg.count_frames_and_secs(str(watched.video))
    assert frames == watched.lengths[0] + 1
    assert seconds == pytest.approx(frames / 50, abs=0.03)  # CartPole's own rate


def test_a_window_needs_a_display(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no display"):
        watch(zeros, "CartPole-v1")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"neither an \.mp4 nor a \.gif"):
        playable(tmp_path / "a.avi")


def test_a_folder_that_cannot_be_made_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        watch(zeros, "CartPole-v1", video=tmp_path / "file" / "a.gif")


def test_an_env_without_pictures_is_refused(tmp_path):
    before = set(gymnasium.registry)
    gymnasium.register("Dark-v0", Dark)
    try:
        with pytest.raises(UsageError, match="does not render") as caught:
            watch(zeros, "Dark-v0", video=tmp_path / "a.gif")
    finally:
        for name in set(gymnasium.registry) - before:
            del gymnasium.registry[name]
    assert "ansi" in caught.value.hint


class Dark(gymnasium.Env):
    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 - Gymnasium's own form
    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
