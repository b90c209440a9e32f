import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { cpuSecondsOf, guardProcess } from '@replyx/testkit';

const MAIN = fileURLToPath(new URL('driver/main.mjs', import.meta.url));
/** One process has a limit of open files; this many connections leave room for the rest. */
const CONNECTIONS_A_DRIVER = 16_000;

/** A driver process; one step at a time. */
export const startDriver = (dialect) => {
  const child = fork(MAIN, [dialect], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  guardProcess(child);
  let answered = () => {};
  const cpuSeconds = () => cpuSecondsOf(child.pid);
  child.on('message', (answer) => answered(answer));
  child.once('exit', (code, signal) => answered({ error: `it ended early (${signal ?? `code ${code}`})` }));
  return {
    pid: child.pid,
    cpuSeconds,
    /** Rejects with what went wrong in the driver; the result also says what share of a core the driver used. */
    ask: (step, plan = {}) =>
      new Promise((resolve, reject) => {
        const before = cpuSeconds();
        const startedMs = performance.now();
        answered = ({ result, error }) => {
          if (result !== undefined) {
            const seconds = (performance.now() - startedMs) / 1000;
            resolve({ ...result, driverCpu: (cpuSeconds() - before) / seconds });
          } else reject(new Error(`driver, ${step}: ${error}`));
        };
        child.send({ step, plan });
      }),
    stop: () => child.kill('SIGKILL'),
  };
};

/** As many drivers as the connections need, each with whole dialogs; `perDialog` lists the targets of each. */
export const startCrew = async (dialect, perDialog, concurrency = 50) => {
  const connections = perDialog.reduce((sum, targets) => sum + targets.length, 0);
  const size = Math.max(1, Math.ceil(connections / CONNECTIONS_A_DRIVER));
  const drivers = Array.from({ length: size }, () => startDriver(dialect));
  await Promise.all(
    drivers.map((driver, at) =>
      driver.ask('connect', { targets: perDialog.filter((_, i) => i % size === at).flat(), concurrency }),
    ),
  );
  const cpuSeconds = () => drivers.reduce((sum, driver) => sum + driver.cpuSeconds(), 0);
  return {
    size,
    cpuSeconds,
    /** All drivers chat at once, each at its share of the rate; latencies are those of the worst. */
    chat: async (plan) => {
      const before = cpuSeconds();
      const share = { ...plan, rate: plan.rate / size, total: Math.ceil(plan.total / size) };
      const results = await Promise.all(drivers.map((driver) => driver.ask('chat', share)));
      const sum = (field) => results.reduce((total, result) => total + result[field], 0);
      const most = (field) => Math.max(...results.map((result) => result[field]));
      const seconds = most('seconds');
      const whole = {
        sent: sum('sent'),
        received: sum('received'),
        expected: sum('expected'),
        repeated: sum('repeated'),
        seconds,
        behindMs: most('behindMs'),
        p50: most('p50'),
        p99: most('p99'),
        driverCpu: (cpuSeconds() - before) / size / seconds,
      };
      if (whole.repeated > 0) throw new Error(`${whole.repeated} deliveries too many`);
      if (plan.mayLose !== true && whole.received !== whole.expected) {
        throw new Error(`${whole.received} of ${whole.expected} deliveries arrived`);
      }
      return whole;
    },
    drop: () => Promise.all(drivers.map((driver) => driver.ask('drop'))),
    stop: () => drivers.forEach((driver) => void driver.stop()),
  };
};
