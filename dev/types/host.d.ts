// What the host serves, in the types of its own package, and what those leave out.
declare module "*/scripts/app.js" {
  import type { ComfyApp, ExtensionManager } from "@comfyorg/comfyui-frontend-types";
  export const app: ComfyApp & {
    extensionManager?: ExtensionManager & { sidebarTab?: { activeSidebarTabId: string | null } };
  };
}
declare module "*/scripts/api.js" {
  import type { ComfyApi } from "@comfyorg/comfyui-frontend-types";
  // Events of an extension's own have no place in the list of the host's.
  type Listener = (event: any) => void;
  export const api: Omit<ComfyApi, "addEventListener" | "removeEventListener"> & {
    addEventListener(name: string, listener: Listener): void;
    removeEventListener(name: string, listener: Listener): void;
  };
}
