"""The command line. Nothing here imports TensorFlow before a command needs it."""
