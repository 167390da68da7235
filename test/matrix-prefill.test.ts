// The shared model stories260K.prefill-static on every system.
import { describeSharedModel } from "./shared-models.ts";

describeSharedModel("stories260K.prefill-static");
