"""Expected SARSA: an agent plugin for advdl."""
