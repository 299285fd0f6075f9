"""The colours of emotions, the same in figures and on pages."""

# One colour per emotion, told apart by people with common colour blindness.
PALETTE = {
    "neutral": "#7f7f7f",
    "calm": "#56b4e9",
    "happy": "#e69f00",
    "excited": "#f0e442",
    "sad": "#0072b2",
    "angry": "#d55e00",
    "frustrated": "#8c564b",
    "fearful": "#6a3d9a",
    "disgust": "#009e73",
    "surprised": "#cc79a7",
    "bored": "#bcbd22",
}
ACCENT = "#2f5d8a"
