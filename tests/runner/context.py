"""What every suite is given: the build trees, the options, the environment of its programs."""

import os

from tree import trees


class Context:
    def __init__(self, long_run, named):
        self.long = long_run
        self.named = named  # tests were asked for by id
        self.trees = trees()
        self.env = {"SIGNALBOX_LONG": "1"} if long_run else {}
        self.ids = lambda: []  # every id of every suite; main.py fills it in

    @property
    def ci(self):
        return os.environ.get("CI") == "true"
