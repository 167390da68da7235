// The shared model stories260K.decode-static on every system.
import { describeSharedModel } from "./shared-models.ts";

describeSharedModel("stories260K.decode-static");
