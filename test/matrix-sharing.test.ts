// The shipped models with shared layers on every system, in both precisions.
import { isQuickSharing, sharingCases, testSharing } from "./sharing-models.ts";

testSharing(sharingCases.filter((system) => !isQuickSharing(system)));
