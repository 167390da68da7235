// The shared model kwt1.encoder-ln17 on every system.
import { describeSharedModel } from "./shared-models.ts";

describeSharedModel("kwt1.encoder-ln17", { batch: 1 });
