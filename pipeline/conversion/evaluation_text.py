"""Fixed texts that no model of the farm is trained on: prompts to continue, and a text set that quality is measured on.

The set was written for this repository: prose, dialogue, facts and code, in English, German, Spanish and Japanese.
"""

from __future__ import annotations

# Short, so that they fit into small contexts and cost little with large models.
GOLDEN_PROMPTS = (
    "The list type",
    "Once upon a time there was",
    "In 1969, 3 people went",
    "def main(args):\n    return",
)

ENGLISH_PROSE = """\
The ferry left the landing a little after six, when the fog still lay on the river and the far bank
could only be drafted at. Old Marta stood at the rail with her basket of plums and counted the
strokes of the engine, as she had done every market day for thirty years. "You could set a clock by
her," the pilot liked to say, "if anybody here still had one." He knew each sandbank by the colour
of the water above it, and he did not trust the new chart that the harbour office had sent him,
because it showed the channel where it had been before the flood.

Halfway across, the sun broke through. Two boys who had hidden among the crates came out and sat on
the warm deck, and for a while nobody asked them for their fare. They were going to see the bridge,
they said, the iron one with the lamps, which their uncle had helped to build and which was going to
make the ferry useless by winter. The pilot laughed at that, but not for long. He looked at his
hands on the wheel, then at the grey towers in the distance, and slowed the engine down, so that the
crossing took ten minutes longer than it should have. Nobody complained. On the other side the
buyers were already waiting with their carts, the church bell rang the half hour, and the price of
plums had gone up since Tuesday.
"""

ENGLISH_DIALOGUE = """\
"You're late," said Nora without looking up from the map.
"The bus was late. I was on it." Tom hung his coat over the radiator, where it began to drip. "Did you find the
place?"
"I found three places with that name. One is a swimming pool."
"Then it's one of the other two." He leaned over her shoulder. "What did the letter say again?"
She read it aloud, slowly, as if the words might change on the way. "Come before the first snow. Ask for the man who
mends clocks. Don't bring the box."
"We are going to bring the box, aren't we?"
"Of course we are going to bring the box." She folded the map along the wrong crease, swore under her breath, and
unfolded it again. "But we won't say so. If he asks, we left it at my sister's."
"Your sister would never let us leave anything at her house."
"He doesn't know that."
Outside a car door slammed. They both went quiet. Steps came up the path, stopped, and went away again. After a while
Tom let out his breath and laughed. "The paper. It's only the paper."
"On a Sunday?" asked Nora.

Interviewer: How did the two of you start the bakery?
Baker: By accident. We wanted to open a bookshop, and the room that we could afford had an oven in it that nobody was
able to carry out.
Interviewer: And did you ever sell books?
Baker: Eleven, in the first year. After that people only came for the bread, and we stopped pretending.
"""

ENGLISH_FACTS = """\
Water expands by about nine per cent when it freezes, which is why ice floats and why pipes burst in winter. Most
substances do the opposite: their solid form is denser than the liquid and sinks. If lakes froze from the bottom up,
few fish would survive until spring.

The Danube rises in the Black Forest and flows through or along ten countries before it reaches the Black Sea, 2,850
kilometres from its source. Vienna, Bratislava, Budapest and Belgrade lie on its banks. Only the Volga is a longer
river in Europe.

To make a simple bread you need 500 g of flour, 350 g of water, 10 g of salt and 3 g of dry yeast. Mix everything, let
the dough rest for twelve hours at room temperature, fold it twice, and let it rise for another hour. Bake it in a hot
pot with the lid on for thirty minutes and without the lid for fifteen more. The crust should sound hollow when you
tap it.

Johannes Kepler published his first two laws in 1609 and the third one ten years later. The planets move on ellipses
with the sun at one focus; the line from the sun to a planet sweeps out equal areas in equal times; and the square of
the period is proportional to the cube of the mean distance. Newton showed in 1687 that all three follow from a force
that falls off with the square of the distance.

Question: If a train leaves at 9:40 and the journey takes two hours and thirty-five minutes, when does it arrive?
Answer: It arrives at 12:15.
"""

CODE = """\
import csv
from collections import defaultdict
from datetime import date


def monthly_totals(path, currency="EUR"):
    '''Sum the amounts of every month, as {(year, month): total}.'''
    totals = defaultdict(float)
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["currency"] != currency:
                continue
            day = date.fromisoformat(row["date"])
            totals[day.year, day.month] += float(row["amount"])
    return dict(sorted(totals.items()))


class Stack:
    def __init__(self):
        self._items = []

    def push(self, item):
        self._items.append(item)

    def pop(self):
        if not self._items:
            raise IndexError("pop from an empty stack")
        return self._items.pop()

function debounce(callback, delay = 200) {
  let timer = null;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => callback(...args), delay);
  };
}

SELECT customer.name, COUNT(*) AS orders, SUM(item.price * item.quantity) AS revenue
FROM customer
JOIN "order" ON "order".customer_id = customer.id
JOIN item ON item.order_id = "order".id
WHERE "order".placed_at >= '2024-01-01'
GROUP BY customer.name
HAVING SUM(item.price * item.quantity) > 1000
ORDER BY revenue DESC
LIMIT 20;

{"name": "sensor-7", "unit": "celsius", "readings": [21.5, 21.7, 22.0, null, 21.9], "ok": true}
"""

GERMAN = """\
Am Rande der Stadt, dort, wo die Straßenbahn wendet, steht ein Haus mit einer grünen Tür. Seit vier Jahren wohnt
niemand mehr darin, und trotzdem brennt jeden Abend um acht Uhr ein Licht im oberen Fenster. Die Kinder erzählen sich,
es sei ein Geist. Der Postbote weiß es besser: Eine Zeitschaltuhr, sagt er, die der alte Lehrer eingestellt hat, bevor
er zu seiner Tochter nach Lübeck gezogen ist, damit die Einbrecher glauben, es sei jemand zu Hause.

»Und wer bezahlt den Strom?«, fragte Hanna.
»Das habe ich mich auch schon gefragt«, sagte der Postbote und stieg wieder auf sein Fahrrad.

Im Winter fiel das Licht zum ersten Mal aus. Hanna bemerkte es, als sie vom Schwimmen kam: Das Fenster war dunkel,
obwohl die Uhr der Kirche längst acht geschlagen hatte. Sie blieb stehen, wartete, zählte bis hundert. Dann ging in
der Küche eine Lampe an, im Erdgeschoss, wo noch nie eine gebrannt hatte, und hinter dem Vorhang bewegte sich jemand,
langsam, als suchte er etwas, das er selbst versteckt hatte.
"""

SPANISH = """\
Mi abuela decía que el viento del este traía malas noticias y el del oeste, visitas. Aquel martes sopló de los dos
lados. Por la mañana llegó una carta del banco, y antes de comer aparecieron mis primos de Zaragoza con tres maletas,
un perro y una jaula cubierta con un paño.

—¿Cuánto tiempo os quedáis? —preguntó mi madre, contando ya los platos.
—Lo que haga falta —respondió el mayor, que siempre contestaba así cuando no sabía la respuesta.

Debajo del paño había un loro viejo que sólo hablaba por las noches. Repetía números: siete, cuarenta y dos,
diecinueve. Al principio nos reíamos. Luego mi padre, que jugaba a la lotería desde hacía veinte años sin ganar nada,
empezó a apuntarlos en una libreta. El domingo bajó a la plaza con el abrigo bueno y no volvió hasta la hora de cenar.
No dijo nada, pero le puso al loro un puñado de pipas de girasol y le dio las gracias en voz muy baja.
"""

JAPANESE = """\
駅前の小さな喫茶店は、雨の日だけ混んでいた。傘を忘れた人たちが、コーヒーを一杯だけ頼んで、空が明るくなるのを待つ
のである。店主の佐藤さんは、それを知っていて、雨の日には必ず本棚の本を入れ替えておく。

「この前の続き、ありますか」と、学生らしい女の人が聞いた。
「ありますよ。でも、最後の一ページだけ、誰かが持って行ってしまいました。」
女の人は少し考えてから、笑って言った。「では、最後は自分で考えます。」

昔、この町には大きな川が流れていた。今は道路になっているが、夏の夜に静かに耳を澄ますと、地面の下から水の音が聞こ
えることがある。子どもたちはそれを「川の夢」と呼んでいる。
"""

ENGLISH_LETTER = """\
Dear Mr Okafor,

Thank you for your message of 3 March. We are sorry that the heating in your flat has failed for the second time this
winter, and that nobody answered the telephone on Saturday. A technician will come on Thursday between nine and eleven
in the morning; please let us know by tomorrow evening if that does not suit you. Should the repair take longer than a
day, we will lend you two electric heaters and pay for the electricity that they use.

You also asked about the deposit. According to clause 7 of your contract it is paid back within six weeks after you
have moved out, less the cost of any damage beyond ordinary wear. The marks on the kitchen wall that you describe
count as ordinary wear.

Yours sincerely,
Helen Brandt, property management

P.S. The lift will be out of service from the 14th to the 16th. We have asked the contractor to begin after eight.

Minutes of the meeting, 12 May
1. The minutes of the last meeting were approved without changes.
2. Budget: spending is 4 per cent below plan, mainly because two posts are still vacant. The committee agreed to move
6,000 from travel to training.
3. The new website goes live on 1 June. Open points: search, the French version, and a form for complaints.
4. Any other business: the coffee machine will be replaced, not repaired.
"""

ENGLISH_TALE = """\
There was once a lighthouse keeper who had never seen a ship. The rocks below his tower were so dangerous, and so well
known to be dangerous, that every captain sailed twenty miles around them, and the light that he tended each night
fell on empty water. His sister on the mainland wrote to him twice a year and asked what he did all day. "I make sure
that nothing happens," he wrote back.

One autumn a storm tore the roof off the oil store, and for the first time in thirty years the lamp stayed dark. The
keeper sat on the stairs with a candle and listened. Towards morning he heard a bell, then voices, then the long
grinding sound of wood on stone. When it grew light there was a small boat lying on its side between the rocks, and
five people in it, wet and cold and angry.

"Where was your light?" shouted the woman at the rudder. "We were looking for it. We come by every night, on the far
side, to see it turn. It is how we know where we are."

The keeper put the kettle on. He did not know what to say, and so he asked whether they took sugar. Later, when the
boat had been mended and the tide was right, he climbed to the top of the tower with a telescope, which he had not
done for years, and turned it towards the horizon. There they were: a dozen lamps, two dozen, a whole town of lights
that moved slowly from south to north, exactly twenty miles away.
"""

GERMAN_FACTS = """\
Der Bodensee liegt im Alpenvorland an den Grenzen von Deutschland, Österreich und der Schweiz. Er ist 63 Kilometer
lang, bis zu 14 Kilometer breit und an seiner tiefsten Stelle 251 Meter tief. Der Rhein fließt von Osten nach Westen
hindurch und verlässt den See bei Stein am Rhein. Rund fünf Millionen Menschen trinken Wasser aus dem See, das vor
allem bei Sipplingen in 60 Metern Tiefe entnommen wird.

Frage: Warum ist der Himmel blau?
Antwort: Das Licht der Sonne wird an den Molekülen der Luft gestreut, und zwar blaues stärker als rotes. Deshalb
erreicht uns aus allen Richtungen des Himmels vor allem blaues Licht. Am Abend legt das Licht einen längeren Weg durch
die Luft zurück, sodass vom Blau kaum etwas übrig bleibt und die Sonne rot erscheint.

Man nehme drei Eier, 200 Gramm Zucker und ebenso viel Mehl, rühre alles glatt und gebe zum Schluss einen halben Liter
Milch dazu. Der Teig muss eine halbe Stunde ruhen, bevor man ihn dünn in die heiße Pfanne gießt.
"""

SPANISH_FACTS = """\
La receta es de un pueblo de la sierra y no admite prisas. Se cortan las cebollas muy finas y se dejan pochar en
aceite, a fuego lento, durante cuarenta minutos. Después se añaden dos tomates maduros, una hoja de laurel y medio
vaso de vino blanco. Cuando el vino se ha evaporado, entran las patatas, cortadas a mano y no con el cuchillo, para
que suelten el almidón y espesen el caldo.

Pregunta: ¿Por qué hay mareas?
Respuesta: Porque la Luna y el Sol atraen el agua de los océanos con más fuerza en el lado que tienen más cerca que en
el opuesto. Cuando los dos tiran en la misma dirección, en luna nueva y en luna llena, las mareas son más altas;
cuando tiran en ángulo recto, son más bajas.
"""

# One window of tokens is read of each, in this order.
TEXTS = (
    ENGLISH_PROSE, ENGLISH_DIALOGUE, CODE, GERMAN, ENGLISH_FACTS, SPANISH, JAPANESE, ENGLISH_TALE, GERMAN_FACTS,
    ENGLISH_LETTER, SPANISH_FACTS,
)  # fmt: skip

# A question with its answer, which a model with a template of its own reads in that.
QUESTION = "What is the capital of France, and which river runs through it?"
ANSWER = (
    "The capital of France is Paris. The river Seine runs through the city from east to west and divides it into the"
    " Left Bank and the Right Bank."
)
