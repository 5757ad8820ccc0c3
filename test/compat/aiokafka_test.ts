// aiokafka against a hub: an asyncio client that speaks the older, non-flexible versions of everything.
import { callsBut, standard } from "./cases.ts";
import { pythonProgram, session } from "./program.ts";

const program = session((server) => pythonProgram("aiokafka", "aiokafka/main.py", server));

// its admin client neither deletes groups, nor alters their offsets, nor asks for offsets or transactions
const missing = /^new group protocol|delete groups$|group offsets|every kind$|list and describe$/;
standard("aiokafka", program, callsBut(missing, ["admin: list, describe groups; their offsets"]));
