// The page of a night.

import { readFacts } from "./facts.js";
import { startSlider } from "./slider.js";

startSlider(readFacts());
