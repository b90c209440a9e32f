/** What says of the drivers that they kept up. */
export interface DriverLoad {
  /** Share of a core of the busiest driver, in the worst seconds of the load. */
  readonly cpuShare: number;
  readonly lagP99Ms: number;
  /** How late messages were sent. */
  readonly lateP99Ms: number;
}

const MAX_CPU_SHARE = 0.85;
const MAX_LAG_MS = 50;
const MAX_LATE_MS = 20;

/** Why the driver may be what was measured; empty where it kept up. */
export const driverLimits = ({ cpuShare, lagP99Ms, lateP99Ms }: DriverLoad): string[] => [
  ...(cpuShare > MAX_CPU_SHARE
    ? [`a driver used ${Math.round(cpuShare * 100)} % of a core: give it more --drivers, or a lower rate`]
    : []),
  ...(lagP99Ms > MAX_LAG_MS
    ? [
        `the drivers' event loops were held up for ${Math.round(lagP99Ms)} ms (p99): this machine has too little CPU for them`,
      ]
    : []),
  ...(lateP99Ms > MAX_LATE_MS ? [`messages were sent ${Math.round(lateP99Ms)} ms late (p99) by the drivers`] : []),
];
