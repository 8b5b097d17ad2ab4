// The page of a night.

import { readFacts } from "./facts.js";

const night = readFacts();
