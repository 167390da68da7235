// The shared model kwt1.encoder on every system.
import { describeSharedModel } from "./shared-models.ts";

describeSharedModel("kwt1.encoder", { batch: 1 });
