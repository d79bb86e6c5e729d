"""More of the texts that show a model's activations: everyday ones in the languages that quality is measured in, and in
others."""

GARTEN = """\
Hinter dem Haus liegt ein schmaler Garten, den niemand so recht haben wollte. Die Vorbesitzer hatten Kies gestreut,
darunter Folie, darunter Lehm. Im ersten Frühjahr schleppte Jonas vierzig Säcke davon auf den Gehweg, und im zweiten
wuchs dort, wo die Folie einen Riss gehabt hatte, ganz von allein eine Sonnenblume.

»Was willst du denn hier anbauen?«, fragte die Nachbarin über den Zaun.
»Kartoffeln vielleicht. Und Bohnen, die klettern von selbst.«
»Bohnen brauchen Sonne.« Sie sah nach oben, wo die Kastanie stand. »Aber versuch es nur, der Vorige hatte Moos.«

Zutaten für vier Personen: 800 g Kartoffeln, 2 Zwiebeln, 250 ml Brühe, etwas Essig und Öl, Salz, Pfeffer, Schnittlauch.
Die Kartoffeln kochen, noch warm schälen und in Scheiben schneiden; die heiße Brühe darübergießen und eine halbe Stunde
ziehen lassen. Erst dann das Öl dazugeben, sonst nimmt der Salat nichts mehr auf.
"""

BEHOERDE = """\
Sehr geehrter Herr Aydin,

vielen Dank für Ihren Antrag vom 3. Februar. Leider fehlt noch eine Kopie Ihres Mietvertrags; bitte reichen Sie sie bis
zum 28. des Monats nach. Sie erreichen uns dienstags und donnerstags zwischen 8 und 12 Uhr unter der Nummer auf der
Rückseite. Ohne die Unterlagen können wir über den Zuschuss von 164 Euro nicht entscheiden.

Mit freundlichen Grüßen
Amt für Wohnen, Zimmer 2.17

Frage: Warum schwimmt Eis auf dem Wasser?
Antwort: Weil Wasser sich beim Gefrieren ausdehnt. Eis hat deshalb eine geringere Dichte als flüssiges Wasser.

Frage: Nenne zwei deutsche Städte am Rhein.
Antwort: Köln und Mainz.
"""

AUTOBUS = """\
El autobús de las siete iba casi vacío. Detrás del conductor se sentó una mujer con un violonchelo, y el violonchelo
ocupó más sitio que ella. «¿Paga billete?», preguntó él. «Si toca algo, no», contestó la mujer, y los cuatro pasajeros
se rieron por primera vez en toda la semana.

Julián bajó en la plaza. Había quedado con su hermana delante del banco, pero el banco ya no existía: en su lugar
vendían teléfonos. La esperó allí de todas formas, mirando los precios, hasta que ella apareció por la otra esquina con
dos cafés y el mismo abrigo verde de siempre.

Ingredientes: medio kilo de garbanzos, una cebolla, tres dientes de ajo, dos tomates maduros, espinacas y pimentón. Los
garbanzos se dejan en agua la noche anterior; al día siguiente se cuecen a fuego lento durante una hora y media.
"""

ENTREVISTA = """\
Pregunta: ¿Cuándo empezó usted a hacer relojes?
Respuesta: A los catorce años, en el taller de mi tío. Al principio sólo barría el suelo.
Pregunta: ¿Y todavía llegan clientes?
Respuesta: Menos que antes, claro. Pero el que viene, vuelve. En 1998 arreglaba unos treinta al mes; ahora son ocho.

¿Qué es una metáfora? Es una figura que nombra una cosa con el nombre de otra a la que se parece: «las perlas de su
boca» son los dientes.

La capital de Perú es Lima. El río más largo de la península es el Tajo, con 1.007 kilómetros. Siete por nueve son
sesenta y tres.
"""

NIHONGO = """\
駅前の小さな本屋は、夜の九時まで開いている。店主の田中さんは、客が少ない日には奥の椅子で猫と一緒にラジオを聞く。
「この本、まだありますか」と学生が聞くと、田中さんは棚を見ないで「三段目の右から二冊目」と答えた。

問い：日本で一番高い山は何ですか。
答え：富士山です。高さは三千七百七十六メートルです。

材料（二人分）：卵三個、だし大さじ三、砂糖小さじ一、しょうゆ少々。卵をよく混ぜてから、だしと調味料を加えます。
フライパンを温め、油を薄くひいて、三回に分けて焼いてください。

来週の会議は火曜日の午後二時からに変わりました。資料は前の日までに送ってください。よろしくお願いします。
"""

KATAZUKE = """\
母の家を片付けていると、引き出しの奥から古い地図が出てきた。川の名前も橋の場所も、今とは少し違う。
「これ、いつのもの？」と弟が聞いた。「おじいちゃんが郵便局で働いていたころだと思う」
私たちは手を止めて、昔の道を指でたどった。窓の外では、雨がやんで、子どもたちの声が聞こえ始めていた。

Python では、リストの要素を一つずつ取り出すときに for 文を使います。例えば、次のように書きます。

for name in ["田中", "鈴木", "佐藤"]:
    print(name + "さん、こんにちは")
"""

PORTUGUES = """\
A oficina do senhor Américo fica no fim da rua, onde o passeio já não existe. Conserta rádios, torradeiras e, se lhe
pedirem com jeito, guarda-chuvas. «As coisas não se estragam», costuma dizer, «cansam-se.» No verão passado reparou 96
aparelhos e deitou fora apenas quatro.

Pergunta: Qual é o maior planeta do sistema solar?
Resposta: É Júpiter, cujo diâmetro é cerca de onze vezes o da Terra.
"""

ITALIANO = """\
Ogni domenica la nonna apparecchiava per dodici, anche quando eravamo in cinque. «Non si sa mai», diceva, e aveva
ragione: prima del caffè arrivava sempre qualcuno. Il posto accanto alla finestra restava però libero, perché era quello
dello zio Piero, che dal 1974 viveva a Melbourne e scriveva due volte l'anno.

Domanda: quanti sono i lati di un esagono?
Risposta: un esagono ha sei lati e sei angoli.
"""

KOREAN = """\
비가 그치자 아이들이 골목으로 뛰어나왔다. 할머니는 가게 앞에 의자를 내놓고 감을 깎기 시작했다. "하나 먹고 가거라."
우체부는 웃으며 자전거를 세웠다. 오늘 배달할 편지는 세 통뿐이었다.

질문: 일주일은 며칠입니까?
답: 일주일은 칠 일입니다.
"""

ARABIC = """\
في الصباح الباكر يفتح أبو سامي دكانه الصغير قرب الميناء، ويضع الكراسي أمام الباب. يأتي الصيادون لشرب الشاي قبل أن
يعودوا إلى بيوتهم، ويتحدثون عن الريح والأسعار. قال أحدهم: «البحر هادئ اليوم، لكن السمك بعيد».

سؤال: كم عدد أيام السنة؟
جواب: عدد أيام السنة ثلاثمئة وخمسة وستون يومًا.
"""

HOUSEHOLD = """\
How do I get candle wax out of a tablecloth? Let it harden, scrape off what you can with the back of a knife, then lay
kitchen paper above and below and go over it with a warm iron. Change the paper until it stays dry.

The kitchen light flickers when the washing machine starts. Is that dangerous? A short dip at the start is usual,
because the motor draws several times its normal current for a moment. If the light flickers all the time, or a plug
gets warm, switch the circuit off and call an electrician.

Shopping: oats, 2 l milk, onions, that cheese from the corner shop (not the orange one!), batteries AA, stamps.

Reminder: the dentist moved the appointment to Thursday 16:20. Bring the insurance card and the old X-rays.
"""

TRAVEL = """\
We left Lisbon before sunrise and had the road to ourselves as far as Setúbal. My sister drove; I read out the names of
the villages and got most of them wrong. By ten it was too hot to argue. We stopped at a bar with three tables, where
the owner, without being asked, brought bread, olives and a map on which somebody had circled a beach in green ink.

The beach was real. It took forty minutes on foot, the last ten of them down a rope, and there was nobody there except a
dog who seemed to have been waiting. "He belongs to the lighthouse," a man told us later, and when we said that we had
seen no lighthouse, he looked at us as if we had said that we'd seen no sea.

Day 3: 212 km, two punctures, one very good soup. Day 4: rain. Day 5: the same rain, from the other side.
"""

DEBATE = """\
"Nobody is going to close the school," the mayor said, "and I wish people would stop saying so."
"Then why is it not in the plan?" asked a woman in the third row. Somebody clapped.
He turned two pages, then back one. "It is in the appendix."
"The appendix says 'subject to review'. I looked it up. It means you don't know."
"It means we will look at it in the autumn, when we have the numbers."
"My son starts in August," she said, quite quietly, and this time nobody clapped at all.

User: Can you explain compound interest to a ten-year-old?
Assistant: Imagine that you plant one apple tree and it gives you one new tree every year. Next year both trees give you
one each, so you have four, then eight. Money in a bank can grow the same way, only much more slowly: each year you get
a little extra, and the year after you get a little extra on the extra as well.

User: So if I have 100 and get 10 percent, how much is it after two years?
Assistant: After one year it is 110. In the second year you get 10 percent of 110, which is 11, so you have 121.
"""

PROGRAMS = """\
#include <stdio.h>

int main(void) {
    int count = 0;
    for (int number = 2; count < 10; number++) {
        int prime = 1;
        for (int d = 2; d * d <= number; d++)
            if (number % d == 0) { prime = 0; break; }
        if (prime) { printf("%d\\n", number); count++; }
    }
    return 0;
}

def read_lines(path, limit=None):
    \"\"\"Yield the lines of a text file without their ends.\"\"\"
    with open(path, encoding="utf-8") as file:
        for index, line in enumerate(file):
            if limit is not None and index >= limit:
                return
            yield line.rstrip("\\n")


class Queue:
    def __init__(self, limit):
        self.limit = limit
        self.waiting = []

    def join(self, name):
        if len(self.waiting) >= self.limit:
            raise RuntimeError(f"{name} must come back tomorrow")
        self.waiting.append(name)
        return len(self.waiting)

fun main() {
    val words = listOf("pear", "fig", "apple")
    println(words.sortedBy { it.length }.joinToString(", "))
}

SELECT name, COUNT(*) AS loans FROM books JOIN loans USING (book_id) GROUP BY name HAVING COUNT(*) > 3 ORDER BY loans;
"""

NATURE = """\
The common swift spends almost its whole life in the air. It eats, drinks and even sleeps on the wing, climbing to
some 2,000 metres at dusk and gliding down in the dark. It only lands to breed, under roofs and in the holes of old
walls, and a young bird that has left its nest may not touch anything solid for two years.

Granite is made of quartz, feldspar and mica. It forms when molten rock cools slowly, deep underground, so that the
crystals have time to grow; basalt, which cools quickly at the surface, has grains too small to see. Both are igneous.
Limestone, on the other hand, is made of shells, and marble is limestone that was heated and pressed.

Sound travels at about 343 m/s in air, 1,480 m/s in water and more than 5,000 m/s in steel. If you see the lightning and
count six seconds until the thunder, the storm is roughly two kilometres away.
"""

HISTORY = """\
Before the railway came, the town kept its own time. Noon was when the sun stood over the tower of St Anne's, eleven
minutes later than in the capital, and nobody had ever missed anything by it. In 1847 the company printed a timetable.
For a year the station clock had two minute hands, a black one for the town and a red one for the trains; then the black
one fell off in a storm, and the council, after a discussion recorded on nineteen pages, decided to leave it where it
lay.

The treaty was signed in 1648, after five years of talks in two cities. It ended a war that had cost some regions half
of their people. Its authors did not think of themselves as the founders of anything; most of them wanted to go home.
"""

TEXTS = (
    GARTEN, TRAVEL, NIHONGO, AUTOBUS, HOUSEHOLD, PROGRAMS, BEHOERDE, DEBATE, KATAZUKE, ENTREVISTA, NATURE, PORTUGUES,
    ITALIANO, KOREAN, ARABIC, HISTORY,
)  # fmt: skip
