import { connects } from './connects.mjs';
import { dialogs } from './dialogs.mjs';
import { dialogsMax } from './dialogs-max.mjs';
import { flood } from './flood.mjs';
import { growth } from './growth.mjs';
import { hot } from './hot.mjs';
import { idle } from './idle.mjs';
import { idleNode } from './idle-node.mjs';
import { storm } from './storm.mjs';

/** In the order of the table. */
export const SCENARIOS = [dialogs, dialogsMax, hot, idle, connects, storm, flood, idleNode, growth];
