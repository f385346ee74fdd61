"""Without the extra, the components are listed and refused with the line that installs them."""

import subprocess
import sys

WITHOUT = (
    "import sys\n"
    "sys.modules.update(dict.fromkeys(('torch', 'stable_baselines3', 'sb3_contrib')))\n"
    "from advdl.cli.app import main\n"
    "sys.exit(main())\n"
)
LINE = "pip install 'advdl[sb3]'"


def advdl(*words, cwd):
    return subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, cwd=cwd)


def test_plugins_list_shows_each_with_the_line_that_installs_it(tmp_path):
    listed = advdl("plugins", "list", "--kind", "agent", cwd=tmp_path)
    assert listed.returncode == 0
    lines = [line for line in listed.stdout.splitlines() if "sb3-" in line]
    names = ("a2c", "crossq", "dqn", "ppo", "qrdqn", "sac", "td3", "tqc", "trpo")
    assert [line.split()[1] for line in lines] == [f"sb3-{name}" for name in names]
    assert all(line.rstrip().endswith(LINE) for line in lines)


def test_using_one_exits_2_with_the_same_line_and_leaves_nothing_behind(tmp_path):
    for words in (("agent", "train", "--agent", "sb3-ppo"), ("agent", "train", "--agent", "sb3-tqc", "--dry-run")):
        refused = advdl(*words, cwd=tmp_path)
        assert refused.returncode == 2
        assert "is not installed" in refused.stderr
        assert f"hint: {LINE}" in refused.stderr
    assert list(tmp_path.iterdir()) == []
