package node

import "openflow/site/folders"

// The settings with which an operator names folders, for hints.
const (
	uploadFlag   = "--upload-folder"
	downloadFlag = "--download-folder"
)

// uploads are the folders whose files users may name.
func (n *Node) uploads() folders.Folders {
	return folders.Folders{Home: n.home.Path("uploads"), Named: n.config.UploadFolders, Flag: uploadFlag}
}

// downloads are the folders into which users may have tables written.
func (n *Node) downloads() folders.Folders {
	return folders.Folders{Home: n.home.Path("downloads"), Named: n.config.DownloadFolders, Flag: downloadFlag}
}
