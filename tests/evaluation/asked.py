"""Independent judges for tests of what is judged: they hear nothing."""


class Asked:
    """Independent judges who keep what they are asked."""

    spec, english, verification = None, True, {"threshold": 0.5}

    def __init__(self):
        self.judged = []

    def chosen(self, utterances):
        return list(range(0, len(utterances), 2))

    def scores(self, utterances, made, voices=(), of_recordings=True):
        self.utterances, self.made, self.voices_wanted = utterances, made, voices
        return {
            "missing": ["deaf"],
            "rows": {},
            "english": True,
            "against": "text",
            "verification": None,
        }

    # Of sounds one by one

    def against(self, utterances):
        return "text"

    def expected(self, utterances):
        self.utterances = utterances
        return [each["text"] for each in utterances]

    def judgements(self, waves, expected=None):
        self.judged += zip(waves, expected or [None] * len(waves))
        return [
            {"phones": None, "words": None, "quality": {"p808": len(self.judged)}} for _ in waves
        ]

    def embeddings(self, waves):
        return waves * 4  # of one voice, as the voices of all sounds are wanted

    def voices(self, waves, wanted):
        return [
            {"cosine": float(len(wave) / len(each)), "accepted": True}
            for wave, each in zip(waves, wanted)
        ]

    def mean(self, found):
        return found
