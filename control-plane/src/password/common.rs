//! The passwords that strangers try first, as rules instead of a list: nearly all of them are one or
//! two of some words, names and runs of keys, with digits or signs around. So the words below and what
//! people hang on them stand for many thousands of passwords, in a few hundred bytes.

/// Signs and digits that may stand around the words and change nothing.
const MAX_DECORATION: usize = 6;
/// Words that may stand together and change nothing.
const MAX_WORDS: usize = 3;
/// Numbers shorter than this are birthdays, telephone numbers and the like.
const MIN_DIGITS_ALONE: usize = 12;
/// Longest part whose repetition makes a common password.
const MAX_UNIT: usize = 4;
/// Shortest run of neighbours, on the keyboard or in the alphabet, that counts as a word.
const MIN_RUN: usize = 4;

/// Neighbours in the order in which fingers find them; backwards counts too.
const ROWS: &[&str] = &[
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertz",
    "azerty",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "qazwsxedcrfvtgbyhnujm",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6",
    "!@#$%^&*()",
    "147258369",
    "qweasdzxc",
    "zaq12wsx",
    "159753",
    "741852963",
];

/// Words of English, names, games and places, and of Chinese in Latin letters.
const WORDS: &[&str] = &[
    "aa",
    "abc",
    "access",
    "account",
    "admin",
    "administrator",
    "aini",
    "alexander",
    "amanda",
    "america",
    "andrea",
    "andrew",
    "angel",
    "anthony",
    "apple",
    "arsenal",
    "asd",
    "ashley",
    "austin",
    "baby",
    "babygirl",
    "bailey",
    "banana",
    "barcelona",
    "baseball",
    "basketball",
    "batman",
    "beautiful",
    "bigdaddy",
    "biteme",
    "blink",
    "boomer",
    "brandon",
    "butterfly",
    "buster",
    "camera",
    "carlos",
    "changeme",
    "charlie",
    "cheese",
    "chelsea",
    "chicken",
    "chocolate",
    "chris",
    "christian",
    "cloud",
    "computer",
    "cookie",
    "cowboys",
    "daniel",
    "default",
    "diamond",
    "doctor",
    "dolphin",
    "donald",
    "doudou",
    "dragon",
    "eagles",
    "elizabeth",
    "family",
    "ferrari",
    "fender",
    "fish",
    "flower",
    "football",
    "forever",
    "freedom",
    "friend",
    "friends",
    "fuckyou",
    "fuck",
    "gateway",
    "george",
    "ginger",
    "girls",
    "golden",
    "google",
    "guest",
    "guitar",
    "hammer",
    "hannah",
    "happy",
    "harley",
    "heather",
    "hello",
    "helloworld",
    "hockey",
    "home",
    "hunter",
    "iceman",
    "iloveu",
    "iloveyou",
    "internet",
    "jack",
    "jackson",
    "jasmine",
    "jason",
    "jennifer",
    "jessica",
    "jessie",
    "john",
    "johnny",
    "jordan",
    "joseph",
    "joshua",
    "junior",
    "justin",
    "killer",
    "king",
    "lakers",
    "letmein",
    "letme",
    "liang",
    "linux",
    "liverpool",
    "login",
    "long",
    "love",
    "lovely",
    "loveme",
    "loveyou",
    "maggie",
    "manchester",
    "marina",
    "mario",
    "martin",
    "master",
    "matrix",
    "matthew",
    "maverick",
    "melissa",
    "mercedes",
    "merlin",
    "michael",
    "michelle",
    "mickey",
    "monkey",
    "monster",
    "mother",
    "murphy",
    "music",
    "mustang",
    "naruto",
    "nicole",
    "ninja",
    "nothing",
    "oliver",
    "orange",
    "pass",
    "passw",
    "passwd",
    "passwort",
    "password",
    "patrick",
    "peanut",
    "pepper",
    "peter",
    "phoenix",
    "pokemon",
    "princess",
    "purple",
    "pussy",
    "qq",
    "qwe",
    "rabbit",
    "rachel",
    "raiders",
    "rainbow",
    "ranger",
    "robert",
    "root",
    "samantha",
    "samsung",
    "scooter",
    "secret",
    "security",
    "server",
    "shadow",
    "sightline",
    "silver",
    "slipknot",
    "snoopy",
    "soccer",
    "sophie",
    "spiderman",
    "spring",
    "starwars",
    "steelers",
    "steven",
    "summer",
    "sunshine",
    "super",
    "superman",
    "system",
    "taylor",
    "teamo",
    "tequiero",
    "test",
    "tester",
    "testing",
    "thomas",
    "thunder",
    "tiger",
    "tigger",
    "trustno",
    "tinkerbell",
    "user",
    "vanessa",
    "victoria",
    "wang",
    "welcome",
    "whatever",
    "william",
    "winner",
    "winter",
    "wo",
    "woaini",
    "woaiwojia",
    "woaiwo",
    "xiao",
    "yankees",
    "yellow",
    "you",
    "zhang",
    "zxc",
    "nihao",
    "caonima",
    "baobao",
    "mima",
    "qwer",
    "asdf",
    "zhongguo",
    "beijing",
    "shanghai",
    "autumn",
    "monday",
    "friday",
    "january",
    "december",
    "london",
    "berlin",
    "paris",
    "house",
];

/// Whether a password is of that kind.
pub(super) fn is_common(text: &str) -> bool {
    let plain: Vec<char> = text.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    if plain.iter().all(char::is_ascii_digit) && plain.len() < MIN_DIGITS_ALONE {
        return true;
    }
    // What hangs on the end is no disguise of letters.
    let letters = plain.iter().rposition(|c| c.is_alphabetic()).map_or(0, |last| last + 1);
    let bare = plain.len() - letters <= MAX_DECORATION && letters > 0;
    repeats(&plain)
        || is_made_of_words(&plain)
        || is_made_of_words(&unmasked(&plain))
        || bare && is_made_of_words(&unmasked(&plain[..letters]))
}

/// Signs that stand for letters.
fn unmasked(text: &[char]) -> Vec<char> {
    let letter = |sign: &char| match sign {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => *other,
    };
    text.iter().map(letter).collect()
}

/// One to four signs over and over.
fn repeats(text: &[char]) -> bool {
    (1..=MAX_UNIT.min(text.len() / 2))
        .any(|unit| text.iter().enumerate().skip(unit).all(|(at, sign)| *sign == text[at - unit]))
}

/// Whether words, runs and a few signs are all there is.
fn is_made_of_words(text: &[char]) -> bool {
    let (mut at, mut words, mut decoration) = (0, 0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let word = longest_word(rest).max(longest_run(rest));
        if word > 0 {
            words += 1;
            at += word;
        } else if !rest[0].is_alphabetic() {
            decoration += 1;
            at += 1;
        } else {
            return false;
        }
    }
    words <= MAX_WORDS && decoration <= MAX_DECORATION
}

fn longest_word(text: &[char]) -> usize {
    let starts = |word: &str| {
        word.len() <= text.len() && word.chars().zip(text).all(|(wanted, sign)| wanted == *sign)
    };
    WORDS.iter().filter(|word| starts(word)).map(|word| word.len()).max().unwrap_or(0)
}

/// Length of the longest run of neighbours at the beginning, if it counts.
fn longest_run(text: &[char]) -> usize {
    let along = |row: &[char]| {
        (0..row.len())
            .map(|from| row[from..].iter().zip(text).take_while(|(a, b)| a == b).count())
            .max()
            .unwrap_or(0)
    };
    let longest = |row: &&str| {
        let forwards: Vec<char> = row.chars().collect();
        let backwards: Vec<char> = row.chars().rev().collect();
        along(&forwards).max(along(&backwards))
    };
    ROWS.iter().map(|row| longest(&row)).max().filter(|run| *run >= MIN_RUN).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_try_first_is_common() {
        for text in [
            "password",
            "password1",
            "Password123!",
            "P@ssw0rd",
            "pa$$w0rd2024",
            "12345678",
            "123456789",
            "1234567890",
            "87654321",
            "qwertyuiop",
            "qwerty123",
            "1q2w3e4r",
            "1qaz2wsx",
            "zaq12wsx",
            "asdfghjkl",
            "iloveyou1",
            "letmein1",
            "trustno1",
            "dragon12",
            "monkey123",
            "sunshine1",
            "princess1",
            "football1",
            "baseball",
            "superman",
            "11111111",
            "abababab",
            "abc123abc123",
            "00000000",
            "19870612",
            "20240101",
            "13800138000",
            "woaini1314",
            "woaini520",
            "5201314a",
            "qq123456",
            "a123456789",
            "admin123",
            "Admin@123",
            "welcome1",
            "Welcome@2024",
            "Summer2024!",
            "sightline1",
            "passwordpassword",
            "adminadmin",
            "helloworld",
            "Sunshine Rainbow 1",
            "iloveyouiloveyou",
            "changeme",
            "starwars99",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcdefgh",
            "abcdefgh1",
            "zxcvbnm1",
            "test1234",
            "qweasdzxc",
        ] {
            assert!(is_common(text), "{text}");
        }
    }

    #[test]
    fn what_is_anybodys_own_is_not_common() {
        for text in [
            "vK7mbzqd",
            "correct horse battery staple",
            "tulips at seven",
            "kestrel-over-quarry",
            "gnu lamp oboe fig",
            "83jf-29sk-2k",
            "liwan39gorge",
            "my dragon eats moss",
            "830174920563",
            "门前有三只小猫",
            "thunderclap over Emden",
        ] {
            assert!(!is_common(text), "{text}");
        }
    }
}
