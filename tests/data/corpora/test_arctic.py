import os

from tests.data.corpora.trees import by_name, empty, faults, fields, reasons, texts

AUTHOR = 'Author of the danger trail, "Philip Steels", etc.'


def test_arctic_reads_voices_and_texts(tmp_path):
    empty(
        tmp_path,
        "cmu_us_bdl_arctic/wav/arctic_a0001.wav",
        "cmu_us_slt_arctic/wav/arctic_a0001.wav",
        "cmu_us_slt_arctic/wav/arctic_b0539.wav",
        "cmu_us_slt_arctic/orig/arctic_a0001.wav",
        "cmu_us_xyz_arctic-0.95-release/wav/arctic_a0001.wav",  # without a table
    )
    texts(
        tmp_path,
        {
            "cmu_us_bdl_arctic/etc/txt.done.data": f'( arctic_a0001 "{AUTHOR}" )\n',
            "cmu_us_slt_arctic/etc/txt.done.data": f'(arctic_a0001 "{AUTHOR}" )\n'
            '( arctic_b0539 "Or had he." )\n( arctic_b0540 "No sound." )\n',
        },
    )
    found = by_name(f"arctic:{tmp_path}")
    assert {name: fields(item) for name, item in found.items()} == {
        "arctic/bdl_arctic_a0001": ("arctic/bdl", "male", AUTHOR),
        "arctic/slt_arctic_a0001": ("arctic/slt", "female", AUTHOR),
        "arctic/slt_arctic_b0539": ("arctic/slt", "female", "Or had he."),
        "arctic/xyz_arctic_a0001": ("arctic/xyz", "", AUTHOR),
    }
    assert "/wav/" in found["arctic/slt_arctic_a0001"].path
    assert reasons(f"arctic:{tmp_path}") == {
        "arctic_a0001.wav": "the recording before its processing"
    }
    assert faults(f"arctic:{tmp_path}") == []
    alone = by_name(f"arctic:{tmp_path}/cmu_us_slt_arctic")  # one voice, whose folder names it
    assert {item.speaker for item in alone.values()} == {"arctic/slt"}


def test_the_text_of_a_prompt_is_the_commonest(tmp_path):
    said = {"bdl": "They are one.", "rms": "They are won.", "slt": "They are one."}
    empty(tmp_path, *(f"cmu_us_{voice}_arctic/wav/arctic_a0002.wav" for voice in said))
    table = "cmu_us_{}_arctic/etc/txt.done.data"
    texts(tmp_path, {table.format(v): f'( arctic_a0002 "{text}" )' for v, text in said.items()})
    assert {item.text for item in by_name(f"arctic:{tmp_path}").values()} == {"They are one."}


def test_arctic_names_other_files_and_a_missing_table(tmp_path):
    empty(tmp_path, "cmu_us_bdl_arctic/wav/arctic_a0001.wav", "arctic_a0002.wav")
    empty(tmp_path, "copy/cmu_us_bdl_arctic/wav/arctic_a0001.wav", "cmu_us_bdl_arctic/wav/mine.wav")
    assert reasons(f"arctic:{tmp_path}") == {
        "arctic_a0001.wav": "a second copy",
        "arctic_a0002.wav": "no folder above it is called cmu_us_VOICE_arctic",
        "mine.wav": "not a name of CMU ARCTIC",
        "txt.done.data": "not there: of no utterance is the text known",
    }
    assert faults(f"arctic:{tmp_path}") == ["arctic_a0002.wav", "mine.wav"]


def test_links_to_the_folders_of_voices_are_followed(tmp_path):
    empty(tmp_path / "elsewhere", "cmu_us_bdl_arctic/wav/arctic_a0001.wav")
    (tmp_path / "mine").mkdir()
    os.symlink(tmp_path / "elsewhere/cmu_us_bdl_arctic", tmp_path / "mine/cmu_us_bdl_arctic")
    os.symlink(tmp_path / "mine", tmp_path / "mine/loop")
    assert set(by_name(f"arctic:{tmp_path / 'mine'}")) == {"arctic/bdl_arctic_a0001"}
    assert faults(f"arctic:{tmp_path / 'mine'}") == []
