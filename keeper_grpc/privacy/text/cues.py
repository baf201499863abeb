"""The words around a name that tell it from a word. Written for this project."""

from __future__ import annotations

from typing import Final

from keeper_grpc.privacy.text.word_lists import listed

TITLES: Final = frozenset(
    listed(
        "mr mrs ms miss mx dr doctor prof professor sir madam madame mister missus rev reverend "
        "sister brother fr father pastor rabbi nurse aunt auntie uncle cousin captain sgt officer "
        "judge coach sen senator gov mayor pres president lord lady dame sra sr srta herr frau monsieur "
        "mademoiselle don dona master governor chancellor councilman councilwoman "
        "congressman congresswoman detective sheriff deputy lieutenant colonel bishop deacon"
    )
)
"""Whatever follows one of these, capitalized, is a name."""

SHORT_TITLES: Final = frozenset(listed("mr mrs ms mx dr prof mister missus rev sra srta"))
"""Titles that are nothing else, so that they count in lower case as well."""

ROLES: Final = frozenset(
    listed(
        "client customer guest member patient stylist therapist esthetician aesthetician barber "
        "trainer coach instructor technician tech receptionist manager owner colorist masseuse "
        "masseur practitioner injector provider teacher friend husband wife daughter son mom dad "
        "mother father sister brother partner niece nephew cousin fiance fiancee girlfriend "
        "boyfriend neighbor colleague buddy assistant employee staffer regular lady gentleman"
    )
)
"""`her therapist Grace`, `client may`: a person's role in front of the name."""

BEFORE_NAME: Final = frozenset(
    listed(
        "with by from told tell tells telling call calls calling called text texts texting texted "
        "email emails emailed emailing phone phoned message messaged dm thank thanks thanking dear "
        "hi hello hey hiya welcome meet meeting met remind reminded reminding invite invited "
        "inviting ask asked asking named name names contact contacted contacting greet rebook "
        "rebooked see seeing saw help helped helping hire hired love miss missed missing via "
        "remember introduce introducing signed sincerely regards cheers love sorry congratulate "
        "congrats congratulations happy recommend recommended request requested requesting assign "
        "assigned schedule scheduled book booked booking cc attn re fyi for gave give giving send "
        "sent sending show offered bring brought spoke speak talk talked talking visited visiting "
        "hugged married know knows knew find found believe believes trust trusts follow followed "
        "tag tagged tip tipped pay paid refer referred upsell upsold because unless since when "
        "lost lose birthday back soon"
        " let letting offer offered offering sold sell selling moved move refund refunded owe owes "
        "greeted train trained charged charge billed upgrade upgraded waitlist both "
        "while where whether if that than like about between"
    )
)
"""Words that a name often follows as their object."""

AFTER_NAME: Final = frozenset(
    listed(
        "called calls said says asked asks booked books rebooked loves loved likes liked wants "
        "wanted came comes is was has had needs needed prefers preferred cancelled canceled cancels "
        "missed misses visited visits told tells mentioned mentions complained paid pays left "
        "tipped tips hasn't didn't isn't wasn't doesn't won't can't couldn't wouldn't hadn't would "
        "might should could must can did does who emailed texted emails texts sent sends left "
        "arrived arrives requested requests referred refers wrote writes replied replies responded "
        "responds thinks thought felt feels enjoyed enjoys hates hated tried tries bought buys got "
        "gets went goes took takes made makes gave gives became becomes seemed seems started starts "
        "stopped stops works worked lives lived moved turned returned returns left leaves signed "
        "joined quit renewed upgraded downgraded lapsed forgot forgets agreed confirmed confirms "
        "rescheduled rescheduling brought brings knows knew saw sees met looks looked spoke talked "
        "always never usually also just recently really rarely often still already herself himself "
        "reported reports noticed suggested recommends recommended asked invited offered offers "
        "spent spends walked showed shows waited waits herself hosts hosted teaches taught trained "
        "trains finished finishes began begins passed reached ran runs whose from at says and will may no cut swims hurt wrote rang swam drank ate slept ran drove "
        "understood stood held kept lost sold grew chose paid broke spoke woke wore won sat sent set "
        "shut sang rode read "
        "struggled struggles celebrated celebrates turns posted posts shared shares attends attended "
        "tore froze fell threw flew blew shook stole swore bit hid beat bent bled bounced burst crept dealt "
        "fled fought knelt lent meant slid slept stuck stung swept swung wept "
        "bleaches ordered orders travels traveled travelled followed follows helped helps trusts"
    )
)
"""What people do: words that often follow a name as their subject."""

BELONGINGS: Final = frozenset(
    listed(
        "mom mother dad father daughter son husband wife sister brother kid kids baby friend boyfriend "
        "girlfriend aunt cousin niece nephew grandma boss card appointment appt appts hair nails brows "
        "lashes skin back neck knee shoulder hip foot feet file locker bag purse phone coat jacket keys "
        "account balance deposit package membership waiver form invoice receipt order number email "
        "birthday bday wedding stylist trainer therapist usual tip tab chair slot 2pm favorite request"
    )
)
"""What people have: `June's mom`, but `June's special`."""

HUMAN: Final = frozenset(
    listed(
        "called said says asked asks booked rebooked loves loved likes liked wants wanted came "
        "needs prefers preferred cancelled canceled missed told tells mentioned complained paid "
        "tipped hasn't didn't who emailed texted requested referred wrote replied responded thinks "
        "thought felt enjoyed enjoys hates hated tried bought signed joined renewed forgot agreed "
        "confirmed rescheduled brought knows knew met spoke talked herself himself asked invited "
        "arrived spent walked waited noticed suggested reported visits visited comes teaches taught "
        "struggled struggles celebrated celebrates attends attended hosts hosted lapsed upgraded"
    )
)
"""The part of AFTER_NAME that nothing but a person does."""

NOT_BEFORE_NAME: Final = frozenset(
    listed(
        "a an the this that these those our your their its his her my any each every some no more "
        "most less least much many few such all neither very too one two three four five six seven "
        "eight nine ten first second third next last other same new old full own be being been are "
        "only great good best better big small free early late mid weekly monthly daily custom "
        "special using fresh dried pink organic essential add aloe in into during through over"
    )
)
"""Articles, numbers and the like: what follows is a thing."""

WEAK_BEFORE_NAME: Final = frozenset(listed("of at on per as so both either under another without"))
"""What stands before things rather than people, but says little before a capital."""

QUESTIONS: Final = frozenset(
    listed(
        "did does do has have had is was are were will would should could can may might must let "
        "lets make makes made having please if whether and or but & to"
    )
)
"""`Did Grace pay?`, `have Pearl sign`, `sent to Frank`: what often stands before a person."""

GREETINGS: Final = frozenset(
    listed("hi hello hey hiya dear thanks thank sincerely regards cheers bye goodbye congrats love")
)
"""Whom one greets with a capital is a person, comma or not."""

SUBJECTS: Final = frozenset(
    listed(
        "i we you they he she it who that which this there these those what clients customers "
        "guests members people staff team everyone someone anyone nobody one many most some all "
        "others both system app offer discount message email text reminder price prices package "
        "appointment appointments results bookings business revenue he'll and or not also"
    )
)
"""What may be the subject of `will` and `may`."""

MODALS: Final = frozenset(listed("will may"))

CALENDAR: Final = frozenset(
    listed(
        "april may june august summer autumn winter spring season jan sunday easter eve valentine"
    )
)

BEFORE_TIME: Final = frozenset(
    listed(
        "in this next last every each early late mid by since until till of during from through "
        "between before after throughout for end start beginning late-"
    )
)
"""What stands before a month or a season."""

TIMES: Final = frozenset(
    listed(
        "january february march april may june july august september october november december "
        "spring summer autumn fall winter monday tuesday wednesday thursday friday saturday sunday "
        "weekend weekends weekday weekdays holiday holidays month months week weeks year years "
        "morning mornings afternoon afternoons evening evenings night nights hour hours"
    )
)

SERVICES: Final = frozenset(
    listed(
        "massage massages facial facials package packages membership memberships member members "
        "treatment treatments scrub scrubs wrap wraps soak soaks bath baths oil oils candle candles "
        "peel peels mask masks masque masques wax waxing pedicure pedicures manicure manicures mani "
        "pedi nail nails polish gel lash lashes brow brows hair haircut haircuts color colour "
        "colors balayage highlights highlight blowout blowouts shampoo conditioner serum serums "
        "toner cream creams lotion lotions balm butter mist mists water tea teas extract petals "
        "petal quartz stone stones roller rollers crystal crystals salt salts sugar ritual rituals "
        "retreat retreats experience experiences special specials promotion promotions promo promos "
        "sale sales offer offers deal deals discount discounts tier tiers status level levels class "
        "classes session sessions series pass passes card cards certificate certificates gift gifts "
        "bundle bundles campaign campaigns newsletter event events party parties day days weekend "
        "season seasons set sets kit kits collection collections line lines product products scent "
        "scents aromatherapy infusion infused blend blends spray cleanse detox glow tan tanning "
        "lounge room rooms suite spa salon gym studio bar gold tone tones toned healing therapy "
        "workout workouts yoga pilates bootcamp challenge training program programs period "
        "calendar schedule hours service services add-on addon upgrade upgrades slot slots visit "
        "visits appointment appointments booking bookings facials shade shades tint highlights "
        "gloss plan plans pricing prices price rate rates rewards reward points club circle "
        "rush peak weekdays babies essential essence bouquet garden bomb bombs hip hips flower "
        "flowers renewal therapies body glaze lip lips foot feet break cleaning scalp powder cleansing cleanser hydration red pumpkin roller scented flavored "
        "based themed inspired infused scented friendly eyes eye hour hours week weeks month shot shots chain "
        "hand hands face skin back neck brow heel cuticle leaf root berry milk sorbet lemonade latte"
    )
)
"""Things of the trade. A word-name beside one of them names the thing: `rose facial`, `Jade roller`."""

TREATMENTS: Final = SERVICES - frozenset(
    listed(
        "appointment appointments booking bookings slot slots visit visits package packages "
        "membership memberships member members card cards party parties plan plans points point "
        "reward rewards event events room rooms suite gift gifts pass passes certificate "
        "certificates offer offers period calendar schedule hours day days weekend season seasons "
        "level levels status tier tiers price prices pricing rate rates rush peak weekdays club "
        "circle break special specials campaign campaigns newsletter babies services service bar "
        "lounge spa salon gym studio session sessions class classes"
    )
)
"""What is done to a client or used on one. An appointment, a package or a card is somebody's."""

TIERS: Final = frozenset(
    listed("gold silver platinum diamond bronze ruby pearl crystal jade emerald opal amber")
)
TIERED: Final = frozenset(
    listed(
        "membership memberships tier tiers package packages plan plans member members level status"
    )
)
"""`Gold membership`: a tier and what has tiers."""

INSTRUCTED: Final = frozenset(
    listed(
        "to of the a an your our their his her its every each all any this that these those it them "
        "us in for down up out off on into over you we they i"
    )
)
"""What follows a verb that opens an instruction (`Mark the`, `Hope to`), or a thing (`Joy of`)."""

VERBS: Final = frozenset(
    listed(
        "mark grant chase will may drew drop bill rob sue pat chip skip trip nick peg hang sing lean "
        "carry lance page love hope honor cherish see desire manual"
    )
)
"""Word-names that open an instruction: `Mark the client`, `Grant a free upgrade`."""

AFTER_PERSON: Final = frozenset(
    listed(
        "first last next today tonight walk try end come go call tell ask show talk help lead start "
        "stay work hand read say see let want need like love book pay open close early late soon once "
        "twice together there here right back home again over out off down up for in on to or but as "
        "do can be been were most more no my so"
    )
)
"""Words that follow a person and, in small letters, are no surname, though surnames spelled like
them exist: `tell Grace first`."""

CLAUSE_OPENERS: Final = frozenset(
    listed(
        "how why while when the then each every all both most more less just never can must shall "
        "were via but life time times work things"
    )
)
"""Words that begin a sentence as themselves, though surnames spelled like them exist: `How is ...`,
`Life got busy`. Not `He`, `Her`, `My`, `So` and `An`, which are frequent names."""

ADDRESSED: Final = "you"
"""Whom a script speaks to, before whatever people do: `You asked, we listened`. The surname that is
spelled like it is masked beside a given name, an initial or a title, and alone only when it was declared."""

IMPERATIVES: Final = frozenset(
    listed(
        "alert ask begin block box bring call carry check clear close come cover edit end escort "
        "fix forward gather go grab greet hang hire host keep learn like list listen look lower mail "
        "mention mix notice pair pay pick pin place pour push put reach read record ring run save "
        "say screen search seat serve share shorten slice speak stage start stay steer step stock "
        "store surprise sweeten tag talk tell test touch train treat try wait walk warn wash wear "
        "win wish"
    )
)
"""Verbs that open an instruction, though surnames spelled like them exist. Not the frequent ones
(Cook, Page, Hunt, Love)."""

PEOPLE: Final = frozenset(
    listed("guests clients customers members patients regulars visitors friends couples newcomers")
)
"""Whom an instruction is about: `Ring guests who ...`."""

DETERMINERS: Final = frozenset(listed("a an the this that your our their its every each no"))
"""What follows these is a noun: `the waitlist`, `our offer`."""

LETTERED: Final = frozenset(
    listed(
        "plan option vitamin group type tier class room phase version part grade step section hepatitis"
    )
)
"""What a letter counts: `plan B. Then ...` is no `B. Then`."""

FUNCTION_WORDS: Final = frozenset(
    listed(
        "a an i and or but nor the to for with of in on at by is was are were be been has had have "
        "who whose whom that which if when as from her his their its our my your about after before "
        "because so not no yes this these those it he she they we you me him them us do does did "
        "will would can could should may might must shall than then there here just also too very "
        "again only never always today tomorrow yesterday via per into over until while where why "
        "how what let up out off down back more most less least any each every some all both"
    )
)
"""Words that are no surname, whatever stands before them. `back` and `will` are ones with a capital."""

SENTENCE_END: Final = frozenset('.!?:;\n\u2022\u2026|("\u201c-\u2013\u2014/')
"""After these a capital says nothing."""
