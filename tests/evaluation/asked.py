"""Independent judges for tests of what is judged: they hear nothing."""


class Asked:
    """Independent judges who keep what they are asked."""

    spec = None

    def chosen(self, utterances):
        return list(range(0, len(utterances), 2))

    def scores(self, utterances, made, voices=(), of_recordings=True):
        self.utterances, self.made, self.voices = utterances, made, voices
        return {"missing": ["deaf"], "rows": {}, "english": True, "verification": None}
