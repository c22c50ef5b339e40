"""Words by which a sentence tells what stands before a medium: an article, a preposition, a verb or a noun."""

from .media_words import NUMBERS, ORDINALS

ARTICLES = {"the", "a", "an", "this", "that", "these", "those", "its", "his", "her", "their", "my", "your", "our"}
QUESTIONING = {"which", "what", "each", "every", "any", "one", "no", "a", "an", "another"}
DETERMINERS = ARTICLES | QUESTIONING | {"both", "all", *NUMBERS, *ORDINALS}
PREPOSITIONS = {
    "in", "on", "of", "from", "within", "inside", "throughout", "during", "among", "amongst", "between", "with", "to", "for",
    "by", "at", "like", "as", "than", "through", "across", "given", "considering", "out", "about", "into", "over", "under",
    "behind", "after", "before", "hearing", "seeing",
}  # fmt: skip
LOCATIVE = {"in", "on", "within", "inside", "throughout", "during", "across"}
CHOOSING = LOCATIVE | {"of", "from", "among", "amongst", "between", "given", "considering", "through"}  # of all, with "or", too
PARTITIVE = {
    "which", "one", "out", "any", "each", "none", "some", "all", "both", "either", "neither", "member",
}  # fmt: skip
DESCRIBED = {
    "given", "provided", "corresponding", "matching", "attached", "displayed", "shown", "accompanying", "same", "loud",
    "short",
}  # fmt: skip
# "the mood of the sound", but "the shot in the sound recording"
ATTRIBUTES = {
    "source", "origin", "timbre", "cause", "maker", "producer", "mood", "loudness", "volume", "pitch", "tempo", "rhythm", "theme",
    "genre", "content", "contents", "tone", "emotion", "duration", "length", "quality", "name", "part", "kind", "type",
    "sort", "style", "colour", "color", "title", "subject", "topic", "meaning", "atmosphere", "rest", "end", "start",
    "beginning",
}  # fmt: skip
VERBS = {
    "match", "matches", "matched", "fit", "fits", "suit", "suits", "make", "makes", "made", "produce", "produces", "emit",
    "emits", "create", "creates", "cause", "causes", "sing", "sings", "play", "plays", "hear", "hears", "see", "sees", "show",
    "shows", "contain", "contains", "hold", "holds", "describe", "describes", "depict", "depicts", "resemble", "resembles",
    "accompany", "accompanies", "is", "are", "was", "were", "be", "belong", "belongs", "sound", "sounds", "look", "looks",
    "go", "goes", "represent", "represents", "explain", "explains", "identify", "compare", "select", "choose", "pick", "find",
    "use", "uses", "reflect", "reflects", "give", "gives", "have", "has", "correspond", "corresponds", "say", "says", "and",
    "or", "not", "best", "most", "likely", "probably", "that", "who", "whom", "when", "where", "while", "if", "whether",
    "either", "does", "do", "did", "can", "could", "would", "should", "will", "might", "may",
}  # fmt: skip
CLOSED = VERBS | PREPOSITIONS | DETERMINERS | DESCRIBED  # no nouns
ASKING = {"is", "are", "was", "were", "does", "do", "did", "can", "could", "will", "would", "has", "have"}  # a yes-or-no question
OPENING = PREPOSITIONS | {"using", "based", "judging", "looking", "listening"}  # "Among these pictures, which .."
