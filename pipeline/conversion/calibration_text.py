"""The texts that show a model's activations where a job brings none: prose, talk, figures, code and lists in several
languages. None of them is a text that quality is measured on."""

WORKSHOP = """\
The workshop opens at seven. By half past, the kettle has boiled twice and somebody has already asked where the good
pliers went. "They were here yesterday," says Ines, who says so every morning, and goes on sorting screws by length.

In 2019 the club had 214 members; in 2023 it had 187, of whom 62 were younger than thirty. A year's fee is 48.50 and
covers tools, heating and the coffee that nobody likes. What remains, about 1,300 a year, is put aside for the roof.

To change a wheel: loosen the nuts, raise the car, take the wheel off, put the spare on, tighten the nuts crosswise,
lower the car, and tighten them once more. Don't kneel where the car could fall. If a nut won't move, stand on the
wrench rather than pull at it.

- three metres of copper pipe, 15 mm
- two elbows and a valve
- solder, flux, a clean rag
"""

QUESTIONS = """\
Why is the sky dark at night, when there are so many stars? Because light takes time, and the oldest of it has not
arrived yet. The answer is simple; that it took so long to find it is not.

Q: What is the difference between weather and climate?
A: Weather is what happens today in one place. Climate is what usually happens there, averaged over thirty years.

Q: Name three rivers that end in the Black Sea.
A: The Danube, the Dnieper and the Don, the last by way of the Sea of Azov.

Q: A shirt costs 40 euros and is sold at 15 percent less. What does a customer pay for two?
A: One shirt costs 40 - 6 = 34 euros, so that two of them cost 68 euros.

Q: Can you give me a synonym of "quick"?
A: Fast, rapid, swift or speedy, depending on the sentence.
"""

PYTHON = """\
from dataclasses import dataclass, field


@dataclass
class Account:
    owner: str
    balance: int = 0
    history: list[int] = field(default_factory=list)

    def deposit(self, cents: int) -> None:
        if cents <= 0:
            raise ValueError(f"a deposit of {cents} cents is refused")
        self.balance += cents
        self.history.append(cents)


def average(values):
    total = 0
    for value in values:
        total += value
    return total / len(values) if values else None


if __name__ == "__main__":
    account = Account("Ada")
    for amount in (1250, 300, 75):
        account.deposit(amount)
    print(account.owner, account.balance / 100, average(account.history))
"""

LETTERS = """\
Dear Mrs Whitcombe,

I am writing about the flat on the second floor, which I saw on Saturday. Would it be possible to move in on the 15th
of March instead of the 1st of April? My present lease ends earlier than I thought, and I would rather not put my piano
into storage for two weeks. Of course I would pay the rent for the additional days.

I would also like to know whether the cellar is dry. You mentioned that the boiler was replaced in 2021; is there a
certificate for it?

With kind regards,
Tomasz Zielinski

Hi Tom, the 15th is fine. The cellar's dry, the cat likes it there. Keys are with the baker downstairs, he opens at 6.
Bring a lamp, the one in the hall has gone to my sister. See you!  M.W.
"""

STORY = """\
On the day that the clock in the square stopped, nobody in Varn noticed until noon, when it didn't strike. The baker
went on kneading. The teacher, who set her lessons by it, taught fractions until the children fell asleep. Only old
Marek, who had wound it for forty-one years, sat up in bed and listened to the silence as other people listen to rain.

He put on his coat over his nightshirt, took the long key from its nail, and climbed the hundred and twelve steps. Up
there, between the great wheel and the wall, a swallow had built her nest. Four mouths opened as he bent over it. Marek
looked at the pendulum, looked at the nest, and sat down on the toolbox to think.

"When will it go again?" the mayor asked that evening.
"In June," said Marek. "It needs a rest."
And so the spring of that year lasted, in Varn, exactly as long as it liked.
"""

SCIENCE = """\
Photosynthesis takes place in two stages. In the first, chlorophyll absorbs light, mostly red and blue, and its energy
splits water into oxygen, protons and electrons; in the second, the cell uses what was stored in ATP and NADPH to build
sugar from carbon dioxide. Most plants close their pores at noon when it is hot, which saves water but starves the
second stage of its raw material. Maize and sugar cane have found a way around this: they concentrate carbon dioxide in
cells around the veins.

The boiling point of water falls by about one degree for every 300 metres of height. On a summit of 4,800 m it is near
84 degrees Celsius, so that potatoes take twice as long. A pressure cooker at 1.8 bar reaches 117 degrees instead.

The half-life of carbon-14 is 5,730 years: after 11,460 years a quarter of it is left, after 57,300 years a thousandth.
"""

WEB = """\
<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Opening hours</title></head>
  <body>
    <h1>Library</h1>
    <ul class="hours">
      <li data-day="mon">Monday: closed</li>
      <li data-day="tue">Tuesday: 10:00-18:30</li>
    </ul>
    <script>
      const open = [...document.querySelectorAll(".hours li")].filter((item) => !item.textContent.includes("closed"));
      console.log(`${open.length} days`);
    </script>
  </body>
</html>

{"order": 1047, "paid": false, "items": [{"sku": "B-12", "count": 3, "price": 4.20}, {"sku": "X-7", "count": 1}]}

UPDATE stock SET count = count - 3 WHERE sku = 'B-12' AND count >= 3;

$ git log --oneline -3 | cut -c1-60
$ find . -name '*.tmp' -mtime +7 -delete
"""

DEUTSCH = """\
Der Zug nach Rostock fährt heute von Gleis neun. Wer Fahrräder mitnehmen möchte, steigt bitte im letzten Wagen ein; im
Speisewagen ist die Kaffeemaschine ausgefallen, dafür gibt es Tee. Frau Yılmaz, die jeden Freitag zu ihrer Enkelin
fährt, hat sich daran gewöhnt, dass etwas nicht geht. »Hauptsache, er kommt«, sagt sie und packt ihr Strickzeug aus.

Im Jahr 2022 wurden in der Gemeinde 1.438 Bäume gepflanzt, davon 612 Eichen. Etwa jeder zehnte hat den Sommer nicht
überlebt, vor allem am Südhang, wo der Boden dünn ist.

Frage: Wie berechnet man die Fläche eines Kreises?
Antwort: Man multipliziert das Quadrat des Radius mit der Zahl Pi, also ungefähr mit 3,14159.
"""

ESPANOL = """\
El mercado abre a las ocho, pero los pescadores llegan mucho antes. A esa hora sólo se oyen las cajas y alguna broma.
Rosario compra siempre en el mismo puesto, aunque dice que es el más caro de todos. «Aquí me fían», explica, «y me
guardan la cabeza del mero para el caldo».

Para llegar al faro, siga el sendero de la costa durante tres kilómetros y medio; después de la segunda cala, gire a la
izquierda. La subida es corta pero empinada. No olvide llevar agua: la fuente está seca desde mayo.

¿Cuántos días tiene un año bisiesto? Tiene 366, porque febrero tiene 29.
"""

FRANCAIS = """\
La boulangerie du coin a changé de propriétaire au printemps. Les croissants sont meilleurs, chacun le reconnaît,
mais l'ancienne patronne connaissait le prénom des enfants. Le nouveau, un grand blond qui vient de Lille, apprend :
il note tout dans un carnet, entre les commandes de brioches et le numéro du plombier.

Question : pourquoi les feuilles rougissent-elles en automne ?
Réponse : parce que la chlorophylle se décompose et laisse apparaître d'autres pigments, dont les caroténoïdes.

En 1889, la tour mesurait 312 mètres ; avec ses antennes, elle en mesure aujourd'hui 330.
"""

CHINESE = """\
周末的早晨，公园里总是很热闹。老人们在湖边打太极拳，孩子们追着鸽子跑，卖豆浆的阿姨一边收钱一边跟熟客聊天。小林坐在
长椅上看书，其实一页也没翻过去，因为旁边两位老先生正在下棋，而且谁也不肯认输。

问：一年有几个季节？
答：一年有四个季节：春天、夏天、秋天和冬天。

日本語の例文：昨日は雨が降ったので、家で本を読みました。明日は友だちと山に登るつもりです。
"""

RUSSIAN = """\
Осенью, когда туристы уезжают, посёлок снова становится тихим. В магазине остаются хлеб, спички и одна и та же сказка о
медведе, который будто бы живёт за старой мельницей. «Видел его кто-нибудь?» — спрашивает новый учитель. «Конечно, —
отвечают ему, — только не в этом году».

Вопрос: сколько будет семь умножить на восемь?
Ответ: семь умножить на восемь будет пятьдесят шесть.
"""

INSTRUCTIONS = """\
Instruction: Rewrite the sentence in the past tense: "She teaches chemistry and plays the cello."
Response: She taught chemistry and played the cello.

Instruction: Give me three tips for a better night's sleep.
Response:
1. Go to bed and get up at the same time every day, even on Sundays.
2. Keep the room dark and cool, around 18 degrees.
3. Put the phone away an hour before; read something dull instead.

Instruction: Sort these words by length: umbrella, ant, river, at.
Response: at, ant, river, umbrella

Instruction: Summarize in one sentence: The council met on Tuesday, argued for four hours about the bridge, and decided
to decide in spring.
Response: After a long argument the council put its decision on the bridge off until spring.
"""

TALK = """\
ANNA: You're late.
BEN: The bridge was up. I counted eleven boats.
ANNA: It's November. There aren't eleven boats on the whole river.
BEN: Ducks, then. Listen, do we still have the receipt for the heater?
ANNA: In the blue folder, behind "Insurance". Why, what's it done now?
BEN: Nothing. That's the problem! It hums, it blinks, and it's 14 degrees in there.
ANNA: Did you try turning it off and -
BEN: Twice.
(She puts her scarf back on.)
ANNA: All right. You ring them, I'll make soup. And Ben? Don't say "ducks" to them.
"""

NEWS = """\
HARBOUR CITY, 4 May - The ferry company said on Monday that it would buy two electric ships for the short crossing to
the islands, a step that it had put off three times since 2018. Each will carry 90 cars and 450 passengers and charge
for twelve minutes at either end. The price, 38 million a ship, is a third above that of a diesel vessel; the company's
head of finance, Laura Benning, expects to save it in fuel "within nine years, or seven if oil goes on like this".

Residents were less sure. "It'll be quieter, I give them that," said a fisherman who did not want to be named, "but will
it sail in January?"

Results of the weekend: Rovers 2, United 2; City 0, Athletic 1; Albion 3, Wanderers 1 (after extra time).
"""

MATHEMATICS = """\
Theorem. There are infinitely many prime numbers.
Proof. Suppose that p1, p2, ..., pn were all of them, and let N = p1 * p2 * ... * pn + 1. No pi divides N, since each
leaves the remainder 1. So N has a prime factor that is not in the list, which contradicts the assumption. QED

Let f(x) = x^3 - 3x + 1. Then f'(x) = 3x^2 - 3, which is zero at x = -1 and x = 1; f(-1) = 3 is a maximum and f(1) = -1
a minimum. Because f(0) = 1 > 0 and f(1) < 0, there is a root between 0 and 1, near 0.3473.

| n | n^2 | 2^n |
|---|-----|-----|
| 1 | 1   | 2   |
| 5 | 25  | 32  |
| 9 | 81  | 512 |
"""

TEXTS = (
    WORKSHOP, QUESTIONS, STORY, PYTHON, LETTERS, DEUTSCH, SCIENCE, ESPANOL, INSTRUCTIONS, WEB, FRANCAIS, TALK, CHINESE,
    NEWS, RUSSIAN, MATHEMATICS,
)  # fmt: skip

# Questions with their answers, which a model with a template of its own reads in that.
ANSWERED = (
    ("Which city is the capital of Portugal?", "The capital of Portugal is Lisbon, at the mouth of the Tagus."),
    ("Where does the Danube end?", "The Danube ends in the Black Sea, in a wide delta that Romania and Ukraine share."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    (
        "Write one sentence about autumn.",
        "In autumn the leaves turn yellow, and the evenings smell of smoke.",
    ),
    ("What is 12 times 12?", "12 times 12 is 144."),
    (
        "Who painted the ceiling of the Sistine Chapel?",
        "The ceiling of the Sistine Chapel was painted by Michelangelo.",
    ),
    ("Explain what a noun is.", "A noun is a word for a person, a place, a thing or an idea, such as baker or hope."),
    ("Give me a tip for sleeping better.", "Go to bed at the same time every day, and keep the room dark and cool."),
)
