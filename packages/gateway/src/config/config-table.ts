import { SETTING_NAMES, SETTINGS, type Setting } from './schema.js';

const number = (value: number): string => String(value);

const values = (setting: Setting): string => {
  switch (setting.kind) {
    case 'integer':
      return `${number(setting.min)} to ${number(setting.max)}${setting.zeroIsOff ? '; 0 = off' : ''}`;
    case 'boolean':
      return '`true`, `false`';
    case 'choice':
      return setting.choices.map((value) => `\`${value}\``).join(', ');
    case 'keys':
      return 'at least 32 bytes each';
    case 'apiKeys':
      return 'list; at least 32 characters each (16 outside production)';
    case 'list':
      return { origin: 'list of `scheme://host[:port]`', network: 'list of addresses, CIDR', redisUrl: 'list of URLs' }[
        setting.items
      ];
    case 'text':
      return {
        host: 'address or host name',
        name: 'name',
        prefix: 'name',
        redisUrl: '`redis://`, `rediss://`, `redis+sentinel://`, `redis+cluster://`',
        httpUrl: '`https://` URL',
        words: 'text',
      }[setting.format];
  }
};

export const defaultText = (setting: Setting): string => {
  if (setting.kind === 'keys' || setting.kind === 'apiKeys' || setting.kind === 'list') return setting.absent;
  if (setting.default === 'byEnvironment') return 'false in production, else true';
  return setting.default === undefined && setting.kind === 'text' ? setting.absent : String(setting.default);
};

const notes = (setting: Setting): string => {
  const said = [
    ...(setting.requiredInProduction ? ['Required in production.'] : []),
    ...(setting.secret ? ['Also by `_FILE`.'] : []),
    ...(setting.enforced ? [] : ['Not enforced yet.']),
  ];
  return [setting.meaning, ...said].join(' ');
};

/** Every setting as a Markdown table. */
export const configTable = (): string => {
  const rows = SETTING_NAMES.map((name) => {
    const setting: Setting = SETTINGS[name];
    return `| \`${name}\` | ${defaultText(setting)} | ${values(setting)} | ${notes(setting)} |`;
  });
  return ['| name | default | values | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
};
