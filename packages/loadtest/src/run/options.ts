/** Options of a load, for `parseArgs`, and their help. */
export const LOAD_OPTIONS = {
  url: {
    type: 'string',
    multiple: true,
    value: '<ws://host:port>',
    says: 'public address of a node; several, or several with commas',
  },
  'internal-url': {
    type: 'string',
    multiple: true,
    value: '<http://…>',
    says: 'internal address of a node: registers the dialogs there, reads /metrics',
  },
  local: {
    type: 'boolean',
    value: '',
    says: 'the nodes of `replyx cluster` or `npm start` here: ports 8081… and 9091…',
  },
  'api-key-file': {
    type: 'string',
    value: '<file>',
    says: 'API key of the internal listener (or REPLYX_API_KEY, REPLYX_API_KEY_FILE)',
  },
  'site-secret-file': {
    type: 'string',
    value: '<file>',
    says: 'key that signs visitor tokens (or SITE_SECRET, SITE_SECRET_FILE)',
  },
  'secret-key-file': {
    type: 'string',
    value: '<file>',
    says: 'key that signs operator tokens (or SECRET_KEY, SECRET_KEY_FILE)',
  },
  tokens: {
    type: 'string',
    value: '<file>',
    says: 'tokens instead of keys: a line each, "<token>" or "<token> <dialog id>"; one connection a line',
  },
  as: { type: 'string', value: 'visitor|operator', says: 'who the clients are (visitor; hot: operator)' },
  tenant: { type: 'string', value: '<id>', says: 'tenant of tokens and dialogs (load)' },
  assistant: { type: 'string', value: '<id>', says: 'an assistant that is registered already (one of the run)' },
  origin: { type: 'string', value: '<origin>', says: "the visitors' Origin (https://load.example)" },
  connections: { type: 'string', value: '<n>', says: 'sockets; storm: sockets that are cut' },
  dialogs: { type: 'string', value: '<n>', says: 'dialogs' },
  'per-dialog': { type: 'string', value: '<n>', says: 'sockets of a dialog, spread over the addresses (2)' },
  rate: { type: 'string', value: '<n/s>', says: 'messages a second; connects: connects a second' },
  duration: { type: 'string', value: '<time>', says: 'how long at the full rate (30s; soak 1h; rolling: at least)' },
  ramp: {
    type: 'string',
    value: '<time>',
    says: 'time over which the rate rises first; idle: over which the sockets are opened (0s)',
  },
  'connect-rate': { type: 'string', value: '<n/s>', says: 'connects a second while the sockets are opened (500)' },
  text: { type: 'string', value: '<bytes>', says: 'length of a message (200)' },
  settle: { type: 'string', value: '<time>', says: 'longest wait for the last deliveries (10s)' },
  missed: { type: 'string', value: '<n>', says: 'storm: messages of each dialog that the readers miss (10)' },
  waves: { type: 'string', value: '<n>', says: 'storm: how often (1)' },
  spread: { type: 'string', value: '<time>', says: 'storm: time over which the readers come back (0s)' },
  churn: { type: 'string', value: '<n/s>', says: 'soak: clients a second that leave and resume (1)' },
  attempts: {
    type: 'string',
    value: '<kinds>',
    says: 'flood: of bad-token, expired, origin, unknown, garbage, denied (bad-token)',
  },
  'attempt-rate': { type: 'string', value: '<n/s>', says: 'flood: attempts a second (500)' },
  'denied-address': {
    type: 'string',
    multiple: true,
    value: '<address>',
    says: 'flood: source address that the nodes deny, for `denied`',
  },
  quiet: { type: 'string', value: '<time>', says: 'flood: time before it, to compare with (5s)' },
  exec: { type: 'string', multiple: true, value: '<command>', says: 'rolling: a step: a shell command' },
  drain: { type: 'string', multiple: true, value: '<pid>', says: 'rolling: a step: SIGTERM' },
  kill: { type: 'string', multiple: true, value: '<pid>', says: 'rolling: a step: SIGKILL' },
  every: { type: 'string', value: '<time>', says: 'rolling: time between the steps, and after the last (10s)' },
  drivers: { type: 'string', value: '<n>', says: 'driver processes (as many as the load needs, up to the CPUs)' },
  'source-addresses': {
    type: 'string',
    value: '<n>',
    says: 'how many of 127.0.0.0/8 to connect from (one per 100 connects)',
  },
  'local-address': {
    type: 'string',
    multiple: true,
    value: '<address>',
    says: 'addresses of this machine to connect from',
  },
  insecure: { type: 'boolean', value: '', says: 'accept any certificate of wss:// addresses' },
  pid: {
    type: 'string',
    multiple: true,
    value: '[name=]<pid>',
    says: 'a server process here: its CPU and memory from /proc',
  },
  'metrics-url': {
    type: 'string',
    multiple: true,
    value: '<url>',
    says: "a server's /metrics (that of each --internal-url)",
  },
  assert: {
    type: 'string',
    multiple: true,
    value: '<measure>',
    says: 'exit code 1 unless it holds: p99<200, lost=0, ack_p99<1s',
  },
  'tolerate-faults': {
    type: 'boolean',
    value: '',
    says: 'a verdict that is not well is no reason for exit code 1: only --assert is',
  },
  json: { type: 'string', value: '<file>', says: 'write the results' },
  html: { type: 'string', value: '<file>', says: 'write a report' },
  quietly: { type: 'boolean', value: '', says: 'no progress' },
  keep: { type: 'boolean', value: '', says: 'leave the dialogs of the run behind' },
} as const;

export type LoadOption = keyof typeof LOAD_OPTIONS;

const WIDTH = 32;

export const optionHelp = (): string =>
  Object.entries(LOAD_OPTIONS)
    .map(([name, { value, says }]) => {
      const left = `--${name} ${value}`.trim();
      return left.length >= WIDTH ? `  ${left}\n  ${' '.repeat(WIDTH)}${says}` : `  ${left.padEnd(WIDTH)}${says}`;
    })
    .join('\n');
