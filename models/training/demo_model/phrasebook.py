"""The sentences the demo model can understand: a grammar of English and Mandarin, drawn by seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

DIGITS = "zero one two three four five six seven eight nine".split()
HOURS = "one two three four five six seven eight nine ten eleven twelve".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NAMES = "Alice Bob Carol David Emma Frank Grace Henry".split()
DOCUMENTS = (
    "report contract budget recording transcript project invoice schedule server update".split()
)
ROOMS = "kitchen|office|garden|meeting room|library|bedroom".split("|")
DEVICES = "light radio printer heater camera window".split()
COLOURS = "red blue green yellow black white".split()
THINGS = "car box book house bird".split()
WEATHER = "sunny cloudy rainy windy cold warm".split()
TIMES = "tomorrow morning|this afternoon|next week|after lunch|before noon|tonight".split("|")
COUNTED = "chairs copies people minutes days".split()

FIXED_EN = (
    "Good morning everyone.",
    "Thank you very much.",
    "Let us begin the meeting.",
    "Can you hear me now?",
    "I agree with that plan.",
    "That is a good question.",
    "We will talk again soon.",
    "Please speak a little slower.",
    "I am sorry for the delay.",
    "Have a nice day.",
    "Yes, of course.",
    "No, not yet.",
    "Hello, how are you?",
    "I am fine, thanks.",
    "Where is the train station?",
    "The door is open.",
)

DIGITS_ZH = "零一二三四五六七八九"
WEEKDAYS_ZH = "一二三四五六日"
NAMES_ZH = "王先生 李小姐 张老师 陈经理 刘医生".split()
THINGS_ZH = "报告 合同 录音 文件 计划 软件 电脑 鼠标".split()
ROOMS_ZH = "会议室 办公室 图书馆 厨房 花园".split()
DEVICES_ZH = "灯 门 窗户 电视 打印机".split()
WEATHER_ZH = "晴天 下雨 很冷 很热 有风".split()

FIXED_ZH = (
    "大家早上好。",
    "谢谢大家。",
    "我们开始开会吧。",
    "你能听见我说话吗？",
    "我同意这个计划。",
    "这是一个好问题。",
    "请说慢一点。",
    "对不起，我来晚了。",
    "她的头发很长。",
    "公司的发展很快。",
    "皇后在后面。",
    "里面有五台电脑。",
    "这个鼠标坏了。",
    "再见，祝你愉快。",
    "火车站在哪里？",
    "干净的水很重要。",
)

FIXED = frozenset(FIXED_EN + FIXED_ZH)


@dataclass(frozen=True)
class Sentence:
    """One sentence of the phrase-book; `is_fixed` marks a phrase without anything to vary."""

    text: str
    language: str

    @property
    def is_fixed(self) -> bool:
        return self.text in FIXED


Choose = Callable[..., str]


def _digits(draw: random.Random, digits: str | list[str], between: str) -> str:
    return between.join(draw.choice(digits) for _ in range(draw.randint(3, 6)))


def _english(draw: random.Random) -> str:
    c = draw.choice
    templates: tuple[Callable[[], str], ...] = (
        lambda: c(FIXED_EN),
        lambda: (
            f"The {c(DOCUMENTS)} is due at {c(HOURS)} {c(['o’clock', 'thirty', 'fifteen'])} "
            f"on {c(DAYS)}."
        ).replace("’", "'"),
        lambda: f"Please send the {c(DOCUMENTS)} to {c(NAMES)} before {c(DAYS)}.",
        lambda: f"{c(NAMES)} will call {c(NAMES)} {c(TIMES)}.",
        lambda: f"We need {c(HOURS)} more {c(COUNTED)} for the {c(DOCUMENTS)}.",
        lambda: f"Turn {c(['on', 'off'])} the {c(DEVICES)} in the {c(ROOMS)}.",
        lambda: f"The number is {_digits(draw, DIGITS, ' ')}.",
        lambda: (
            f"The {c(COLOURS)} {c(THINGS)} is {c(['behind', 'under', 'near'])} "
            f"the {c(COLOURS)} {c(THINGS)}."
        ),
        lambda: f"It will be {c(WEATHER)} and {c(WEATHER)} on {c(DAYS)}.",
        lambda: (
            f"{c(['Did', 'Can', 'Will'])} {c(NAMES)} {c(['finish', 'check', 'print', 'read'])} "
            f"the {c(DOCUMENTS)} {c(TIMES)}?"
        ),
        lambda: (
            f"I think {c(NAMES)} {c(['likes', 'lost', 'found', 'needs'])} "
            f"the {c(COLOURS)} {c(THINGS)}."
        ),
        lambda: f"{c(NAMES)} and {c(NAMES)} are in the {c(ROOMS)}.",
    )
    return c(templates)()


def _mandarin(draw: random.Random) -> str:
    c = draw.choice
    templates: tuple[Callable[[], str], ...] = (
        lambda: c(FIXED_ZH),
        lambda: f"请把{c(THINGS_ZH)}发给{c(NAMES_ZH)}。",
        lambda: f"会议星期{c(WEEKDAYS_ZH)}{c(['上午', '下午'])}{c('一二三四五六七八九十')}点开始。",
        lambda: f"请{c(['打开', '关上'])}{c(ROOMS_ZH)}的{c(DEVICES_ZH)}。",
        lambda: f"电话号码是{_digits(draw, DIGITS_ZH, '')}。",
        lambda: f"{c(NAMES_ZH)}在{c(ROOMS_ZH)}里面。",
        lambda: f"星期{c(WEEKDAYS_ZH)}的天气是{c(WEATHER_ZH)}。",
        lambda: f"我们需要{c('二三四五六七八九十')}个{c(['新的', '好的'])}{c(THINGS_ZH)}。",
        lambda: f"{c(NAMES_ZH)}{c(['喜欢', '需要', '找到了'])}这个{c(THINGS_ZH)}。",
    )
    return c(templates)()


_GRAMMARS = {"en": _english, "zh": _mandarin}


def draw_sentence(draw: random.Random, language: str) -> Sentence:
    """Draw one sentence of `language` ("en" or "zh")."""
    return Sentence(_GRAMMARS[language](draw), language)


def draw_distinct(seed: int, language: str, n_sentences: int) -> list[Sentence]:
    """
    Draw different sentences that vary (no fixed phrase), in the order drawn.

    Used for the held-out list: a fixed phrase is said in training too, only
    by other voices, so it is scored apart.
    """
    draw = random.Random(f"{seed}-{language}")
    found: dict[str, Sentence] = {}
    while len(found) < n_sentences:
        sentence = draw_sentence(draw, language)
        if not sentence.is_fixed:
            found.setdefault(sentence.text, sentence)
    return list(found.values())
