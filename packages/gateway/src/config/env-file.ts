import { defaultText } from './config-table.js';
import type { RandomBytes } from './read-auth.js';
import { SETTING_NAMES, SETTINGS, type Setting } from './schema.js';
import type { Environment } from './setting-reader.js';

/** A `.env` that names every setting with its default as a comment, and sets the environment and fresh secrets. */
export const envFile = (environment: Environment, random: RandomBytes): string => {
  const blocks = SETTING_NAMES.map((name) => {
    const setting: Setting = SETTINGS[name];
    const fixed = 'default' in setting && setting.default !== undefined && setting.default !== 'byEnvironment';
    const said = [setting.meaning, ...(fixed ? [] : [`(default: ${defaultText(setting)})`])];
    const about = `# ${said.join(' ')}${setting.enforced ? '' : ' Not enforced yet.'}`;
    if (name === 'ENVIRONMENT') return `${about}\n${name}=${environment}\n`;
    if (setting.kind === 'keys' || setting.kind === 'apiKeys') {
      return `# ${setting.meaning}\n${name}=${Buffer.from(random(32)).toString('base64url')}\n`;
    }
    return `${about}\n#${name}=${fixed ? defaultText(setting) : ''}\n`;
  });
  return `# Configuration of a ReplyX gateway node. It holds secrets: keep it readable by its owner only.\n\n${blocks.join('\n')}`;
};
