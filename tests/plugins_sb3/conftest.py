import sys
from pathlib import Path

# The probe envs serve every agent's tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "rl"))
