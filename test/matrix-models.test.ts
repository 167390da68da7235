// The shipped models on the systems that the short suite leaves out.
import { isQuick, shippedCases, testShipped } from "./shipped-models.ts";

testShipped(shippedCases.filter((system) => !isQuick(system)));
