package ec2

import "strconv"

type (
	createTemplateInput struct {
		ClientToken        string
		Name               string                  `q:"LaunchTemplateName,required"`
		VersionDescription string                  `q:"VersionDescription"`
		Data               templateData            `q:"LaunchTemplateData,required"`
		TagSpecifications  items[tagSpecification] `q:"TagSpecification"`
	}
	templateOutput struct {
		Template templateXML `xml:"launchTemplate"`
	}
	templateXML struct {
		ID             string     `xml:"launchTemplateId"`
		Name           string     `xml:"launchTemplateName"`
		CreateTime     string     `xml:"createTime"`
		CreatedBy      string     `xml:"createdBy"`
		DefaultVersion int        `xml:"defaultVersionNumber"`
		LatestVersion  int        `xml:"latestVersionNumber"`
		Tags           items[tag] `xml:"tagSet"`
	}
	createVersionInput struct {
		ClientToken        string
		ID                 string       `q:"LaunchTemplateId"`
		Name               string       `q:"LaunchTemplateName"`
		SourceVersion      string       `q:"SourceVersion"`
		VersionDescription string       `q:"VersionDescription"`
		Data               templateData `q:"LaunchTemplateData,required"`
	}
	versionOutput struct {
		Version versionXML `xml:"launchTemplateVersion"`
	}
	versionXML struct {
		ID          string       `xml:"launchTemplateId"`
		Name        string       `xml:"launchTemplateName"`
		Number      int          `xml:"versionNumber"`
		Description string       `xml:"versionDescription,omitempty"`
		CreateTime  string       `xml:"createTime"`
		CreatedBy   string       `xml:"createdBy"`
		Default     bool         `xml:"defaultVersion"`
		Data        templateData `xml:"launchTemplateData"`
	}
	describeTemplatesInput struct {
		IDs        items[string] `q:"LaunchTemplateId"`
		Names      items[string] `q:"LaunchTemplateName"`
		Filters    items[filter] `q:"Filter"`
		NextToken  string
		MaxResults *int
	}
	describeTemplatesOutput struct {
		Templates items[templateXML] `xml:"launchTemplates"`
		NextToken string             `xml:"nextToken,omitempty"`
	}
	describeVersionsInput struct {
		ID         string        `q:"LaunchTemplateId"`
		Name       string        `q:"LaunchTemplateName"`
		Versions   items[string] `q:"LaunchTemplateVersion"`
		MinVersion string
		MaxVersion string
		NextToken  string
		MaxResults *int
		Filters    items[filter] `q:"Filter"`

		ResolveAlias *bool // image ids here are never parameters of Systems Manager
	}
	describeVersionsOutput struct {
		Versions  items[versionXML] `xml:"launchTemplateVersionSet"`
		NextToken string            `xml:"nextToken,omitempty"`
	}
	deleteTemplateInput struct {
		ID   string `q:"LaunchTemplateId"`
		Name string `q:"LaunchTemplateName"`
	}
)

func createLaunchTemplate(c *call, in *createTemplateInput) (*templateOutput, error) {
	if c.findTemplate("", in.Name) != nil {
		return nil, refuse("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	t := c.newTemplate(in.Name, in.Data)
	t.versions[0].description = in.VersionDescription
	t.tags = tagsOf(in.TagSpecifications, "launch-template")
	return &templateOutput{c.templateAnswer(t)}, nil
}

func (c *call) templateAnswer(t *template) templateXML {
	return templateXML{
		ID: t.id, Name: t.name, CreateTime: stamp(c.at(t.created)), CreatedBy: "arn:aws:iam::" + c.cfg.Account + ":user/admin",
		DefaultVersion: t.standard, LatestVersion: len(t.versions), Tags: items[tag]{t.tags},
	}
}

func createLaunchTemplateVersion(c *call, in *createVersionInput) (*versionOutput, error) {
	t := c.findTemplate(in.ID, in.Name)
	if t == nil {
		return nil, noTemplate(in.ID, in.Name)
	}
	if in.SourceVersion != "" {
		return nil, refuse("UnsupportedOperation", "this server makes versions without SourceVersion only")
	}
	v := t.add(in.Data, in.VersionDescription, c.elapsed())
	return &versionOutput{c.versionAnswer(v)}, nil
}

func (c *call) versionAnswer(v *templateVersion) versionXML {
	return versionXML{
		ID: v.of.id, Name: v.of.name, Number: v.number, Description: v.description, CreateTime: stamp(c.at(v.created)),
		CreatedBy: "arn:aws:iam::" + c.cfg.Account + ":user/admin", Default: v.number == v.of.standard, Data: v.data,
	}
}

func describeLaunchTemplates(c *call, in *describeTemplatesInput) (*describeTemplatesOutput, error) {
	all, only := map[string]*template{}, in.IDs.List
	for _, t := range c.templates {
		all[t.id] = t
	}
	for _, id := range in.IDs.List {
		if all[id] == nil {
			return nil, noTemplate(id, "")
		}
	}
	for _, name := range in.Names.List {
		t := c.findTemplate("", name)
		if t == nil {
			return nil, noTemplate("", name)
		}
		only = append(only, t.id)
	}
	for id, t := range all {
		fits, err := matches(in.Filters.List, func(name string) ([]string, bool) {
			if name == "launch-template-name" {
				return []string{t.name}, true
			}
			return tagAttributes(t.tags, name)
		})
		if err != nil {
			return nil, err
		}
		if !fits {
			delete(all, id)
		}
	}
	list, next, err := page(all, only, in.NextToken, in.MaxResults, c.limits(200, 1, 200))
	if err != nil {
		return nil, err
	}
	out := &describeTemplatesOutput{NextToken: next}
	for _, t := range list {
		out.Templates.List = append(out.Templates.List, c.templateAnswer(t))
	}
	return out, nil
}

func describeLaunchTemplateVersions(c *call, in *describeVersionsInput) (*describeVersionsOutput, error) {
	if in.MinVersion != "" || in.MaxVersion != "" || len(in.Filters.List) > 0 {
		return nil, refuse("UnsupportedOperation", "this server describes versions by their numbers only")
	}
	var chosen []*templateVersion
	switch t := c.findTemplate(in.ID, in.Name); {
	case in.ID == "" && in.Name == "": // of all templates, which must be asked for by $Latest or $Default
		for _, t := range c.templates {
			for _, text := range in.Versions.List {
				chosen = append(chosen, t.version(text))
			}
		}
	case t == nil:
		return nil, noTemplate(in.ID, in.Name)
	case len(in.Versions.List) == 0:
		chosen = t.versions
	default:
		for _, text := range in.Versions.List {
			v := t.version(text)
			if v == nil {
				return nil, refuse("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", text, t.id)
			}
			chosen = append(chosen, v)
		}
	}
	all := map[string]*templateVersion{}
	for _, v := range chosen {
		if v != nil {
			all[v.of.id+strconv.Itoa(1e6-v.number)] = v // the newest first
		}
	}
	list, next, err := page(all, nil, in.NextToken, in.MaxResults, c.limits(200, 1, 200))
	if err != nil {
		return nil, err
	}
	out := &describeVersionsOutput{NextToken: next}
	for _, v := range list {
		out.Versions.List = append(out.Versions.List, c.versionAnswer(v))
	}
	return out, nil
}

func deleteLaunchTemplate(c *call, in *deleteTemplateInput) (*templateOutput, error) {
	for i, t := range c.templates {
		if in.ID != "" && t.id == in.ID || in.ID == "" && t.name == in.Name {
			c.templates = append(c.templates[:i:i], c.templates[i+1:]...)
			return &templateOutput{c.templateAnswer(t)}, nil
		}
	}
	return nil, noTemplate(in.ID, in.Name)
}
