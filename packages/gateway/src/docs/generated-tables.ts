import { checkTable } from '../audit/check-table.js';
import { configTable } from '../config/config-table.js';
import { metricTable } from '../observability/metric-table.js';
import {
  clientFrameTable,
  closeCodeTable,
  errorCodeTable,
  publicRouteTable,
  routeTable,
  serverFrameTable,
} from './wire-tables.js';

/** A table in a page of `docs`, between `<!-- marker:begin -->` and `<!-- marker:end -->`. */
export interface GeneratedTable {
  readonly page: string;
  readonly marker: string;
  readonly table: () => string;
}

export const GENERATED_TABLES: readonly GeneratedTable[] = [
  { page: 'configuration.md', marker: 'config-docs', table: configTable },
  { page: 'metrics.md', marker: 'metrics', table: metricTable },
  { page: 'frames.md', marker: 'client-frames', table: clientFrameTable },
  { page: 'frames.md', marker: 'server-frames', table: serverFrameTable },
  { page: 'frames.md', marker: 'error-codes', table: errorCodeTable },
  { page: 'frames.md', marker: 'close-codes', table: closeCodeTable },
  { page: 'audit.md', marker: 'checks', table: checkTable },
  { page: 'internal-api.md', marker: 'routes', table: routeTable },
  { page: 'public-api.md', marker: 'public-routes', table: publicRouteTable },
];

/** The page with its current table. Throws where the page has no such place. */
export const withTable = (text: string, { page, marker, table }: GeneratedTable): string => {
  const begin = `<!-- ${marker}:begin -->\n`;
  const end = `<!-- ${marker}:end -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from === -1 || to === -1) throw new Error(`docs/${page} has no place for ${marker}`);
  return text.slice(0, from + begin.length) + table() + text.slice(to);
};
